"""What POST /evaluate refuses, and that nothing is stored when it does."""

import io
import json
from typing import Any

import pytest

from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Running, Start


async def stored_jobs(client: Running) -> int:
    return (await client.service.store.reading.backlog()).jobs


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"items": NaN}', "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b'"\\ud800', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"[]", "invalid_body"),
        (b"null", "invalid_body"),
        (b"{}", "no_items"),
        (b'{"items": []}', "no_items"),
        (b'{"items": null}', "no_items"),
    ],
)
async def test_no_json_or_no_items_is_400(
    start: Start, scripted_triton: TritonProcess, body: bytes, code: str
) -> None:
    async with start(scripted_triton) as client:
        status, answer, _ = await client.call("POST", "/evaluate", data=body)
        assert (status, answer["code"]) == (400, code)
        assert await stored_jobs(client) == 0


async def test_problems_are_told_by_index_and_field(start: Start, scripted_triton: TritonProcess) -> None:
    """Missing, empty, over-long and wrongly typed fields are 422, each with its place; no text is echoed."""
    items: list[Any] = make_items(6)
    del items[0]["curso"]
    items[1]["id_alumno"] = 7.5
    items[2]["consigna"] = " \n"
    items[3] = "secret"
    items[4]["respuesta"] = 3
    async with start(scripted_triton, max_field_chars=50) as client:
        status, answer, _ = await client.call("POST", "/evaluate", json={"items": items})
        items = make_items(2)
        items[1]["consigna"] = "secret " * 20
        too_long, long_answer, _ = await client.call("POST", "/evaluate", json={"items": items})
        assert await stored_jobs(client) == 0
    assert (status, answer["code"]) == (422, "invalid_items")
    places = {(problem["index"], problem["field"]) for problem in answer["details"]["problems"]}
    assert places == {(0, "curso"), (1, "id_alumno"), (2, "consigna"), (3, None), (4, "respuesta")}
    assert too_long == 422
    assert long_answer["details"]["problems"] == [
        {"index": 1, "field": "consigna", "message": "must have at most 50 characters"}
    ]
    assert "secret" not in json.dumps([answer, long_answer])


async def test_a_list_of_problems_has_an_end(start: Start, scripted_triton: TritonProcess) -> None:
    """Two thousand broken items give a hundred problems and their total."""
    async with start(scripted_triton) as client:
        status, answer, _ = await client.call("POST", "/evaluate", json={"items": [{}] * 2000})
    assert status == 422
    assert answer["details"]["total"] == 8000
    assert len(answer["details"]["problems"]) == 100


async def test_too_many_items_or_bytes_is_413(start: Start, scripted_triton: TritonProcess) -> None:
    """2001 items, a body announced as too large, and one that turns out so while it is read."""

    async def endless() -> Any:
        for _ in range(50):
            yield b" " * 1_000_000

    async with start(scripted_triton) as client:
        status, answer, _ = await client.call("POST", "/evaluate", json={"items": make_items(2001)})
        assert (status, answer["code"]) == (413, "too_many_items")
        status, answer, _ = await client.call("POST", "/evaluate", data=io.BytesIO(b" " * 50_000_000))
        assert (status, answer["code"]) == (413, "body_too_large")
        status, answer, _ = await client.call("POST", "/evaluate", data=endless())
        assert (status, answer["code"]) == (413, "body_too_large")
        assert await stored_jobs(client) == 0


async def test_2000_items_are_taken(start: Start, scripted_triton: TritonProcess) -> None:
    """The largest job that is allowed is accepted."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(2000), priority="bulk")
        _, body, _ = await client.call("GET", f"/status/{job_id}")
        assert (body["progress"]["total"], body["priority"]) == (2000, "bulk")
        await client.call("POST", f"/cancel/{job_id}")


async def test_wrong_methods_and_addresses(start: Start) -> None:
    """Errors have one shape everywhere, and a wrong method says which one is right."""
    async with start() as client:
        status, answer, headers = await client.call("GET", "/evaluate")
        assert (status, answer["code"], headers["Allow"]) == (405, "method_not_allowed", "POST")
        status, answer, _ = await client.call("GET", "/nothing")
        assert (status, answer["code"]) == (404, "not_found")
        status, answer, _ = await client.call("DELETE", "/status/x")
        assert status == 405


async def test_before_the_model_was_ever_loaded(start: Start) -> None:
    """A POST is 503 with Retry-After, health says why, and the process is alive all the same."""
    async with start() as client:
        status, answer, headers = await client.call("POST", "/evaluate", json={"items": make_items(1)})
        assert (status, answer["code"]) == (503, "model_not_loaded")
        assert int(headers["Retry-After"]) > 0
        status, answer, _ = await client.call("GET", "/health")
        assert (status, answer["status"], answer["model_loaded"]) == (503, "unhealthy", False)
        assert (await client.call("GET", "/health/live"))[0] == 200
        assert (await client.call("GET", "/health/ready"))[0] == 503
        assert await stored_jobs(client) == 0


async def test_unknown_priority_is_422(start: Start, scripted_triton: TritonProcess) -> None:
    async with start(scripted_triton) as client:
        body = {"items": make_items(1), "priority": "urgent"}
        status, answer, _ = await client.call("POST", "/evaluate", json=body)
        assert (status, answer["details"]["problems"][0]["field"]) == (422, "priority")
