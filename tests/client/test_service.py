"""The client beside the real service."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from avalua_client import (
    ApiError,
    AvaluaClient,
    Batch,
    End,
    Item,
    JobNotFoundError,
    Retry,
    SyncAvaluaClient,
)
from avalua_client.client import encoded
from avalua_client.evaluation import Evaluation
from avalua_client.state import State
from testkit.proxy import Proxy
from testkit.triton import TritonProcess
from tests.client.hostile import JOB, STREAM_HEAD, Hostile, answer, batch, end
from tests.orchestrator.client import WAIT_S, make_items
from tests.orchestrator.conftest import Running, Start

QUICK = Retry(first_s=0.05, max_s=0.2, patience_s=30.0, queue_patience_s=30.0)
ITEM = Item("A1", "3r ESO", "Explica la pluja.", "Plou.")


def feedbacks(count: int) -> list[str]:
    """What the scripted model says of ``make_items``: each text's own word."""
    return [f"Resposta: Mot{index}" for index in range(count)]


@pytest.fixture(autouse=True)
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("AVALUA_STATE_DIR", str(folder))
    return folder


async def test_three_lines_mark_a_class(start: Start, scripted_triton: TritonProcess) -> None:
    """Each text gets its own mark, in the order of the items."""
    async with start(scripted_triton) as service, AvaluaClient(service.base) as client:
        results = await client.evaluate(make_items(25))
    assert [result.feedback for result in results] == feedbacks(25)
    assert [result.index for result in results] == list(range(25))
    assert all(result.ok and result.nota == 3 for result in results)


async def test_each_call_by_itself(start: Start, scripted_triton: TritonProcess) -> None:
    """submit, stream, status, results, cancel and health say what the service says."""
    async with start(scripted_triton) as service, AvaluaClient(f"{service.base}/") as client:
        job = await client.submit([ITEM] * 12)
        events = [event async for event in client.stream(job.job_id)]
        assert [type(event) for event in events] == [Batch, Batch, End]
        assert [event async for event in client.stream(job.job_id, after=2)] == events[2:]
        after_all = [event async for event in client.stream(job.job_id, after=3)]
        assert [event.status for event in after_all if isinstance(event, End)] == ["completed"]
        status = await client.status(job.job_id)
        assert (status.status, status.progress.completed, status.ended) == ("completed", 12, True)
        assert len(await client.results(job.job_id)) == 12
        assert (await client.cancel(job.job_id)).status == "completed"
        assert (await client.health())["model_loaded"] is True
        assert (await client.export(job.job_id, "csv")).startswith(b"\xef\xbb\xbf")
        with pytest.raises(JobNotFoundError):
            await client.status(JOB)
        with pytest.raises(ApiError, match="curso must not be empty") as caught:
            await client.submit([Item("A1", "", "x", "y")])
        assert (caught.value.status, caught.value.code) == (422, "invalid_items")


async def test_a_lost_answer_is_one_job_and_a_second_call_another(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """The key of a call is its own, and the same for each try of it."""
    async with start(scripted_triton) as service:
        port = int(service.base.rpartition(":")[2])
        async with Proxy(port) as proxy, AvaluaClient(f"http://{proxy.address}", retry=QUICK) as client:
            proxy.block()
            sending = asyncio.create_task(client.submit([ITEM]))
            await proxy.until_connections(1)
            proxy.cut()
            proxy.heal()
            async with asyncio.timeout(WAIT_S):
                first = await sending
            again = await client.submit([ITEM])
            key = await client.submit([ITEM], idempotency_key="mine")
            same = await client.submit([ITEM], idempotency_key="mine")
        assert len({first.job_id, again.job_id, key.job_id}) == 3
        assert key.job_id == same.job_id


async def test_a_stream_whose_connections_are_cut(start: Start, scripted_triton: TritonProcess) -> None:
    """Every text once and in order, however often the way to the service breaks."""
    async with start(scripted_triton, batch_size=3) as service:
        port = int(service.base.rpartition(":")[2])
        async with Proxy(port) as proxy, AvaluaClient(f"http://{proxy.address}", retry=QUICK) as client:
            job = await client.submit(make_items(30, "[[delay_ms=100]]"))
            seen: list[int] = []
            async for event in client.stream(job.job_id):
                if isinstance(event, Batch):
                    seen += [result.index for result in event.results]
                    proxy.cut()
    assert sorted(seen) == list(range(30))


async def test_more_items_than_a_job_takes(start: Start, scripted_triton: TritonProcess) -> None:
    """They become several jobs, of the size that the service says, and come back as one list."""
    async with start(scripted_triton, max_items=7) as service, AvaluaClient(service.base) as client:
        evaluation = Evaluation(client, [encoded(item) for item in make_items(30)])
        async for _ in evaluation.run():
            pass
        results = evaluation.all_results()
    assert [result.feedback for result in results] == feedbacks(30)
    assert [result.index for result in results] == list(range(30))
    assert len(evaluation.job_ids) == 5


async def test_larger_items_than_a_body_takes(start: Start, scripted_triton: TritonProcess) -> None:
    """The service's limit in bytes is found the same way, and one item beyond it is refused."""
    long = "a" * 300
    more: dict[str, Any] = {"max_body_bytes": 4096}
    async with start(scripted_triton, **more) as service, AvaluaClient(service.base) as client:
        results = await client.evaluate(make_items(30, long))
        assert [result.feedback for result in results] == feedbacks(30)
        with pytest.raises(ApiError, match="too large"):
            await client.evaluate(make_items(1, "a" * 5000))


async def test_items_that_the_service_refuses_fail_alone(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """In whichever job they are: the others have their marks."""
    items = make_items(12)
    items[7]["id_alumno"] = "x" * 999
    async with start(scripted_triton, max_items=5) as service, AvaluaClient(service.base) as client:
        results = await client.evaluate(items)
    assert [result.feedback for result in results if result.ok] == feedbacks(7) + feedbacks(12)[8:]
    assert (results[7].error_code, results[7].index) == ("invalid_items", 7)
    assert "id_alumno must have at most" in str(results[7].error_message)


async def test_a_proxy_that_takes_less_than_the_service() -> None:
    """Its own 413, which names no limit, has fewer items sent at a time."""
    refused = [[answer(413, b"<h1>Too large</h1>")]] * 2
    taken = [[answer(202, {"job_id": JOB, "total_items": 3})]]
    stream = [[STREAM_HEAD, batch(1, 3, size=3), end(2, 3)]]
    async with Hostile(evaluate=[*refused, *taken], stream=stream) as server:
        async with AvaluaClient(server.url, retry=QUICK) as client:
            assert len(await client.evaluate(make_items(12))) == 12
        sizes = [call.body.count(b"id_alumno") for call in server.of("evaluate")]
    assert sizes[:3] == [12, 6, 3]


async def test_a_run_is_gone_on_with(
    start: Start, scripted_triton: TritonProcess, state_folder: Path
) -> None:
    """Texts that were sent keep their jobs wherever they stand now; the rest is sent, and nothing twice."""
    items = make_items(8)
    async with start(scripted_triton, max_items=4) as service, AvaluaClient(service.base) as client:
        first = Evaluation(
            client, [encoded(item) for item in items], state=State.new(service.base, "class.csv")
        )
        async for _ in first.run():
            pass
        found = State.latest(service.base, "class.csv")
        assert found is not None
        # A row is new, one has gone, one has another text, and all stand in another order.
        changed = [*make_items(10)[9:], *reversed(items[1:])]
        changed[-1] = {**changed[-1], "respuesta": "Un altre text."}
        second = Evaluation(client, [encoded(item) for item in changed], state=found)
        async for _ in second.run():
            pass
        jobs = await job_count(service)
    assert [result.feedback for result in second.all_results()] == [
        "Resposta: Mot9", *reversed(feedbacks(8)[2:]), "Resposta: Un",
    ]  # fmt: skip
    assert jobs == 3
    text = found.path.read_text()
    assert found.path.stat().st_mode & 0o777 == 0o600
    assert os.stat(state_folder).st_mode & 0o777 == 0o700  # noqa: PTH116  no Path in a coroutine
    assert not any(word in text for word in ("Mot", "A1", "pluja"))


async def test_an_answer_that_was_lost_when_the_run_ended(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """What was sent under a key and never confirmed is asked for under the same key."""
    items = [encoded(item) for item in make_items(5)]
    async with start(scripted_triton) as service, AvaluaClient(service.base) as client:
        state = State.new(service.base, "class.csv")
        evaluation = Evaluation(client, items, state=state)
        async for _ in evaluation.run():
            pass
        lines = state.path.read_text().splitlines(keepends=True)
        assert "taken" in lines.pop()
        state.path.write_text("".join(lines) + '{"taken": "cut o')
        found = State.latest(service.base, "class.csv")
        again = Evaluation(client, items, state=found)
        async for _ in again.run():
            pass
        assert again.job_ids == evaluation.job_ids
        assert found is not None
        assert State.load(found.path).jobs == found.jobs
        assert [result.feedback for result in again.all_results()] == feedbacks(5)
        assert await job_count(service) == 1


async def test_a_run_whose_job_is_gone_or_was_cancelled(start: Start, scripted_triton: TritonProcess) -> None:
    """What has no result there is marked anew."""
    items = [encoded(item) for item in make_items(12, "[[delay_ms=50]]")]
    async with (
        start(scripted_triton, batch_size=2, max_in_flight=2) as service,
        AvaluaClient(service.base) as client,
    ):
        state = State.new(service.base, "class.csv")
        evaluation = Evaluation(client, items, state=state)
        async for _ in evaluation.run():
            await client.cancel(evaluation.job_ids[0])
        assert evaluation.ended_early == "cancelled"
        before = len(evaluation.results)
        assert before < 12
        found = State.latest(service.base, "class.csv")
        second = Evaluation(client, items, state=found)
        async for _ in second.run():
            pass
        assert [result.feedback for result in second.all_results()] == feedbacks(12)
        third_state = State.latest(service.base, "class.csv")
        third = Evaluation(client, items, state=third_state)
        async for _ in third.run():
            pass
        assert [result.feedback for result in third.all_results()] == feedbacks(12)
        assert await job_count(service) == 2


async def test_the_synchronous_face(start: Start, scripted_triton: TritonProcess) -> None:
    """The same without asyncio."""
    async with start(scripted_triton) as service:
        await asyncio.to_thread(use_without_asyncio, service.base)


def use_without_asyncio(url: str) -> None:
    with SyncAvaluaClient(url) as client:
        results = client.evaluate(make_items(12))
        assert [result.feedback for result in results] == feedbacks(12)
        job = client.submit(make_items(12))
        assert [type(event) for event in client.stream(job.job_id)] == [Batch, Batch, End]
        for _ in client.stream(job.job_id):
            break  # whoever has read enough leaves
        assert client.status(job.job_id).status == "completed"
        assert len(client.results(job.job_id)) == 12
        assert client.cancel(job.job_id).ended
        assert client.health()["status"] == "healthy"
        with pytest.raises(JobNotFoundError):
            client.results(JOB)


async def job_count(service: Running) -> int:
    """How many jobs there are, by the service's own count."""
    page = (await service.call("GET", "/metrics"))[1]
    (line,) = (line for line in page.splitlines() if line.startswith("avalua_jobs_submitted_total"))
    return round(float(line.rpartition(" ")[2]))
