"""POST /evaluate, GET /stream, /status, /results and POST /cancel, through real sockets on a real Triton."""

import asyncio
import csv
import io
import json
from uuid import UUID

import pytest

from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start


async def test_a_class_of_25_comes_back_as_ten_ten_and_five(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Every item has one result with its own student, in numbered batches, and then the final event."""
    async with start(scripted_triton) as client:
        status, body, _ = await client.call("POST", "/evaluate", json={"items": make_items(25)})
        assert status == 202
        job_id = body["job_id"]
        assert UUID(job_id).version == 4
        assert (body["total_items"], body["status"]) == (25, "queued")
        assert body["stream_url"] == f"/stream/{job_id}"
        assert type(body["estimated_time_seconds"]) is int  # rounded up
        assert body["estimated_time_seconds"] > 0
        heard = await client.stream(job_id)
    assert [len(event["data"].get("results", [])) for event in heard.events] == [10, 10, 5, 0]
    assert [event["data"].get("batch_number") for event in heard.events] == [1, 2, 3, None]
    assert heard.ids == [1, 2, 3, 4]
    assert sorted(result["index"] for result in heard.results) == list(range(25))
    for result in heard.results:
        assert result["id_alumno"] == f"A{result['index']}"
        assert result["feedback"] == f"Resposta: Mot{result['index']}"
        assert (result["nota"], result["status"], result["error"], result["attempts"]) == (3, "ok", None, 1)
    assert heard.final["total_processed"] == 25
    assert (heard.final["status"], heard.final["failed_items"]) == ("completed", 0)
    progress = heard.events[0]["data"]["progress"]
    assert (progress["completed"], progress["total"], progress["percentage"]) == (10, 25, 40.0)
    assert set(progress) >= {"elapsed_seconds", "estimated_remaining_seconds", "avg_time_per_item"}
    assert (heard.headers["Cache-Control"], heard.headers["X-Accel-Buffering"]) == ("no-cache", "no")
    assert heard.headers["Content-Type"].startswith("text/event-stream")
    assert heard.retry is not None


async def test_late_and_returning_subscribers_get_the_same_batches(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """A late subscriber gets everything, one with Last-Event-ID what comes behind it, and then 204."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(25))
        early = await client.stream(job_id)
        late = await client.stream(job_id)
        again = await client.stream(job_id, after=2)
        status, _, _ = await client.call("GET", f"/stream/{job_id}?last_event_id=4")
        nonsense, body, _ = await client.call("GET", f"/stream/{job_id}", headers={"Last-Event-ID": "x"})
    assert late.events == early.events
    assert again.events == early.events[2:]
    assert again.ids == [3, 4]
    assert status == 204
    assert (nonsense, body["code"]) == (400, "invalid_last_event_id")


async def test_an_event_that_is_still_to_come_is_nothing_to_go_on_from(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """An id beyond a running job's last event stems from another job: 400, not a silent gap."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(3, "[[delay_ms=1000]]"))
        status, body, _ = await client.call("GET", f"/stream/{job_id}?last_event_id=7")
    assert (status, body["code"]) == (400, "invalid_last_event_id")


async def test_a_running_job_is_streamed_as_it_goes(start: Start, scripted_triton: TritonProcess) -> None:
    """A batch reaches a subscriber while the rest of the job still runs."""
    items = make_items(10) + make_items(5, "[[delay_ms=2000]]")
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        first = await client.stream(job_id, events=1)
        _, body, _ = await client.call("GET", f"/status/{job_id}")
        assert len(first.results) == 10
        assert body["status"] == "processing"
        assert body["progress"]["completed"] == 10
        rest = await client.stream(job_id, after=1)
        assert [len(event["data"].get("results", [])) for event in rest.events] == [5, 0]


async def test_what_cannot_be_graded_is_counted_never_invented(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Blank, garbled, truncated and failing items have no mark, an error each, and are counted."""
    texts = ["   ", "Mot [[garble]]", "Mot [[truncate]]", "Mot [[fail]]", "Mot [[nota=5]]"]
    items = make_items(len(texts))
    for item, text in zip(items, texts, strict=True):
        item["respuesta"] = text
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        heard = await client.stream(job_id)
        _, status, _ = await client.call("GET", f"/status/{job_id}")
    by_index = {result["index"]: result for result in heard.results}
    assert {by_index[i]["nota"] for i in range(4)} == {None}
    assert {by_index[i]["feedback"] for i in range(4)} == {None}
    assert by_index[0]["error"]["code"] == "blank_answer"
    assert by_index[0]["attempts"] == 0
    assert by_index[3]["error"]["code"] == "inference_error"
    assert [by_index[i]["attempts"] for i in range(1, 4)] == [3, 3, 3]
    assert all(by_index[i]["error"]["message"] for i in range(4))
    assert (by_index[4]["nota"], by_index[4]["error"]) == (5, None)
    assert heard.final["failed_items"] == status["failed_items"] == 4
    assert status["status"] == "completed"


async def test_a_second_attempt_can_save_an_item(start: Start, scripted_triton: TritonProcess) -> None:
    """Unusable output and errors are tried again; the result says how often."""
    items = make_items(2)
    items[0]["respuesta"] = "Salvat0 [[garble_until=2]]"
    items[1]["respuesta"] = "Salvat1 [[fail_until=3]]"
    async with start(scripted_triton) as client:
        heard = await client.stream(await client.submit(items))
    saved = sorted((result["index"], result["nota"], result["attempts"]) for result in heard.results)
    assert saved == [(0, 3, 2), (1, 3, 3)]


async def test_text_with_any_character_comes_through(start: Start, scripted_triton: TritonProcess) -> None:
    """NUL, emoji, halves of emoji and line separators harm nothing and stay with their student."""
    words = ["a\0b", "🎈bola", "mig\\ud83d", "l\u2028s", "\u202eres", "[[", '"cometes"']
    items = make_items(len(words))
    for item, word in zip(items, words, strict=True):
        item["respuesta"] = word
        item["id_alumno"] = f"id-{word}"
    body = json.dumps({"items": items}).replace("\\\\ud83d", "\\ud83d")
    async with start(scripted_triton) as client:
        status, answer, _ = await client.call("POST", "/evaluate", data=body.encode())
        assert status == 202, answer
        heard = await client.stream(answer["job_id"])
        _, results, _ = await client.call("GET", f"/results/{answer['job_id']}")
        _, table, _ = await client.call("GET", f"/results/{answer['job_id']}?format=csv")
    ids = [result["id_alumno"] for result in results["results"]]
    assert ids == [f"id-{word}".replace("\\ud83d", "\ufffd") for word in words]
    assert len(heard.results) == len(words)
    assert results["results"][1]["feedback"] == "Resposta: 🎈bola"
    assert results["results"][2]["feedback"] == "Resposta: mig\ufffd"
    assert len(list(csv.reader(io.StringIO(table)))) == len(words) + 1


async def test_results_in_three_formats(start: Start, scripted_triton: TritonProcess) -> None:
    """Results are in item order in JSON, CSV and NDJSON, and no cell is a formula."""
    items = make_items(12)
    items[0]["id_alumno"] = "=HYPERLINK(1)"
    items[1]["id_alumno"] = 'coma, "cometes"'
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        await client.stream(job_id)
        _, as_json, _ = await client.call("GET", f"/results/{job_id}")
        _, as_lines, headers = await client.call(
            "GET", f"/results/{job_id}", headers={"Accept": "application/x-ndjson"}
        )
        _, as_csv, _ = await client.call("GET", f"/results/{job_id}", headers={"Accept": "text/csv"})
        unknown, _, _ = await client.call("GET", f"/results/{job_id}?format=xml")
    assert [result["index"] for result in as_json["results"]] == list(range(12))
    lines = [json.loads(line) for line in as_lines.splitlines()]
    made_with = [line.pop("provenance")["id"] for line in lines]
    assert lines == as_json["results"]
    assert made_with == [result["provenance_id"] for result in as_json["results"]]
    assert headers["Content-Type"].startswith("application/x-ndjson")
    rows = list(csv.DictReader(io.StringIO(as_csv.removeprefix("\ufeff"))))
    assert [row["index"] for row in rows] == [str(i) for i in range(12)]
    assert rows[0]["id_alumno"] == "'=HYPERLINK(1)"
    assert rows[1]["id_alumno"] == 'coma, "cometes"'
    assert unknown == 400


async def test_cancel_keeps_what_is_finished_and_can_be_repeated(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Cancelling answers at once and ends the stream with what is finished; a second time changes nothing."""
    items = make_items(13) + make_items(20, "[[delay_ms=3000]]")
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        async with client.open_stream(job_id) as messages, asyncio.timeout(20):
            async for heard in messages:
                if len(heard.events) == 1:
                    break
            status, body, _ = await client.call("POST", f"/cancel/{job_id}")
            assert (status, body["status"]) == (202, "cancelled")
            async for heard in messages:  # noqa: B007  the same one, told further
                pass
        assert heard.final["status"] == "cancelled"
        assert heard.final["total_processed"] == len(heard.results) >= 10
        status, again, _ = await client.call("POST", f"/cancel/{job_id}")
        assert (status, again) == (202, body)
        _, results, _ = await client.call("GET", f"/results/{job_id}")
        assert results["results"] == sorted(heard.results, key=lambda result: result["index"])


@pytest.mark.parametrize("path", ["/stream/", "/status/", "/results/"])
async def test_unknown_jobs_are_404(start: Start, path: str) -> None:
    """An id that never existed, or is none at all, is answered in the one shape of errors."""
    async with start() as client:
        for name in ("00000000-0000-4000-8000-000000000000", "x", "%00", "a'b"):
            status, body, _ = await client.call("GET", path + name)
            assert status == 404, name
            assert set(body) == {"error", "code", "details"}
