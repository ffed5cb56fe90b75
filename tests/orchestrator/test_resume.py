"""A service that ends in the middle, in whatever way, goes on where it was."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from testkit.triton import TritonProcess
from tests.orchestrator.client import Client, Heard, make_items
from tests.orchestrator.conftest import OwnProcess, Start


def check(heard: Heard, count: int) -> None:
    """Every item once, with its own student; every batch once and in order; one final event."""
    assert sorted(result["index"] for result in heard.results) == list(range(count))
    for result in heard.results:
        assert result["feedback"] == f"Resposta: Mot{result['index']}"
    assert heard.ids == list(range(1, len(heard.ids) + 1))
    assert [event["data"]["batch_number"] for event in heard.events[:-1]] == heard.ids[:-1]
    assert heard.final["total_processed"] == count


async def partly(client: Client, job_id: str, events: int, after: int | None = None) -> Heard:
    heard = await client.stream(job_id, after, events)
    assert len(heard.events) >= events
    return heard


async def test_sigkill_in_the_middle(own_process: OwnProcess) -> None:
    """After SIGKILL and a new start the same batches come again, and the rest behind them, exactly once."""
    job_id = await own_process.submit(make_items(200, "[[delay_ms=100]]"))
    before = await partly(own_process, job_id, 3)
    await own_process.end(signal.SIGKILL)
    await own_process.launch()
    resumed = await own_process.stream(job_id, after=before.ids[-1])
    whole = await own_process.stream(job_id)
    check(whole, 200)
    assert whole.events[: len(before.events)] == before.events
    assert whole.events[len(before.events) :] == resumed.events


async def test_sigterm_lets_what_is_in_flight_finish(own_process: OwnProcess, tmp_path: Path) -> None:
    """New jobs are refused, items in flight get their results, streams end cleanly, the exit status is 0.

    Results that fill no batch are kept: after the next start no item is sent twice.
    """
    job_id = await own_process.submit(make_items(15, "[[delay_ms=500]]"))
    async with own_process.open_stream(job_id) as messages:
        async for heard in messages:
            if heard.retry is not None:
                own_process.process.send_signal(signal.SIGTERM)
                break
        async for heard in messages:  # noqa: B007  ends when the server closes the stream
            pass
    assert await own_process.end() == 0
    seen = len(heard.events)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as database:
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    await own_process.launch()
    whole = await own_process.stream(job_id)
    check(whole, 15)
    assert whole.events[:seen] == heard.events
    assert {result["attempts"] for result in whole.results} == {1}


async def test_waiting_jobs_survive_too(start: Start, scripted_triton: TritonProcess) -> None:
    """Jobs in processing and in the queue are all finished by the next start, the running ones first."""
    async with start(scripted_triton, max_concurrent_jobs=1, drain_timeout_s=0.1) as client:
        jobs = [await client.submit(make_items(25, "[[delay_ms=400]]")) for _ in range(3)]
        _, body, _ = await client.call("GET", f"/status/{jobs[2]}")
        assert body["status"] == "queued"
    async with start(scripted_triton, max_concurrent_jobs=1) as client:
        heard = await asyncio.gather(*(client.stream(job_id) for job_id in jobs))
        ended = [(await client.call("GET", f"/status/{job_id}"))[1]["finished_at"] for job_id in jobs]
    for each in heard:
        check(each, 25)
    assert ended == sorted(ended)


async def test_batches_keep_their_size_over_a_restart(start: Start, scripted_triton: TritonProcess) -> None:
    """BATCH_SIZE may change between starts; a job keeps the one that it began with."""
    async with start(scripted_triton, batch_size=4, drain_timeout_s=0.1) as client:
        job_id = await client.submit(make_items(30, "[[delay_ms=300]]"))
    async with start(scripted_triton, batch_size=10) as client:
        heard = await client.stream(job_id)
    check(heard, 30)
    assert [len(event["data"].get("results", [])) for event in heard.events] == [4] * 7 + [2, 0]


async def test_a_job_whose_texts_are_unreadable_fails_alone(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Such a job ends as failed with a final event; the others go on."""
    async with start(scripted_triton, max_concurrent_jobs=1, drain_timeout_s=0.1) as client:
        good = await client.submit(make_items(12, "[[delay_ms=300]]"))
        bad = await client.submit(make_items(12))
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as database:
        database.execute("UPDATE items SET payload = '[[0,' WHERE job_id = ?", (bad,))
        database.commit()
    async with start(scripted_triton, max_concurrent_jobs=1) as client:
        broken = await client.stream(bad)
        check(await client.stream(good), 12)
    assert broken.final["status"] == "failed"


async def test_two_services_do_not_share_a_database(start: Start) -> None:
    """A second one on the same file would send every item twice: it does not start."""
    async with start():
        with pytest.raises(Exception, match="in use by another orchestrator"):
            async with start():
                pass
