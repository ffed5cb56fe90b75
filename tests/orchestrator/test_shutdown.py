"""A service that stops while bodies are still on their way: each gets an answer, and no job is half made."""

import asyncio
import json
import signal
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import OwnProcess, Start, launched
from tests.orchestrator.raw import Answer, Raw, connected, post

PIECE = b" " * 65536


def refused(answer: Answer) -> bool:
    return (answer.status, answer.json["code"]) == (503, "shutting_down") and "retry-after" in answer.headers


async def send_on(raw: Raw) -> None:
    """Sends for as long as somebody reads."""
    try:
        while True:
            await raw.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            await asyncio.sleep(0.001)  # room for the other end, which shares this machine
    except ConnectionError:
        pass


async def test_uploads_are_refused_when_the_service_stops(own_process: OwnProcess, tmp_path: Path) -> None:
    """Those that stand still, that go on, and that were only announced: 503 with Retry-After, not a reset."""
    whole = await own_process.submit(make_items(3))
    await own_process.stream(whole)
    async with AsyncExitStack() as stack:
        raws = [await stack.enter_async_context(connected(own_process)) for _ in range(12)]
        for raw in raws[:4]:
            await raw.send(post("Content-Length: 1000000") + b'{"items": [' + PIECE)
        for raw in raws[4:8]:
            await raw.send(post("Content-Length: 1000000", "Expect: 100-continue"))
            assert (await raw.answer()).status == 100
        senders = []
        for raw in raws[8:]:
            await raw.send(post("Transfer-Encoding: chunked"))
            senders.append(asyncio.create_task(send_on(raw)))
        own_process.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*(raw.answer() for raw in raws))
        assert all(refused(answer) for answer in answers)
        await asyncio.gather(*senders)
        assert await own_process.end() == 0
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as database:
        assert database.execute("SELECT id FROM jobs").fetchall() == [(whole,)]
        assert database.execute("SELECT DISTINCT job_id FROM items").fetchall() == [(whole,)]


async def test_posts_at_the_moment_of_the_stop_are_whole_or_refused(
    own_process: OwnProcess, tmp_path: Path
) -> None:
    """Every 202 is a job on disk with all its items, everything else a 503 and no job."""
    body = json.dumps({"items": make_items(200, "x" * 2000)}).encode()

    async def send() -> Answer | None:
        async with connected(own_process) as raw:
            await raw.send(post(f"Content-Length: {len(body)}") + body)
            return await raw.answer()

    posts = [asyncio.create_task(send()) for _ in range(16)]
    await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
    own_process.process.send_signal(signal.SIGTERM)
    answers = await asyncio.gather(*posts)
    assert await own_process.end() == 0
    taken = {answer.json["job_id"] for answer in answers if answer is not None and answer.status == 202}
    assert taken
    assert all(refused(answer) for answer in answers if answer is not None and answer.status != 202)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as database:
        found = dict(database.execute("SELECT job_id, SUM(json_array_length(payload)) FROM items GROUP BY 1"))
        assert found == dict.fromkeys(taken, 200)


async def test_a_body_that_is_being_read_in_is_given_up(start: Start, scripted_triton: TritonProcess) -> None:
    """A large body that waits for its turn is answered at once, whatever time reading it would have taken."""
    body = json.dumps({"items": make_items(300, "x" * 2000)}).encode()
    async with start(scripted_triton, parse_timeout_s=100.0) as client:
        async with client.service.parser._turn, connected(client) as raw:
            await raw.send(post(f"Content-Length: {len(body)}") + body)
            while client.service.bodies._bytes < len(body):  # nothing tells of it
                await client.call("GET", "/health/live")
            await client.service.drain.run()
            assert refused(await raw.answer())
        assert (await client.call("POST", "/evaluate", data=body))[1]["code"] == "shutting_down"
        assert client.service.bodies._bytes == 0


async def test_a_second_signal_ends_the_wait(tmp_path: Path, scripted_triton: TritonProcess) -> None:
    """What is in flight is waited for no longer, uploads have their answer, and the stop is a clean one."""
    async with launched(tmp_path, scripted_triton, DRAIN_TIMEOUT_S="1000") as service:
        await service.submit(make_items(3, "[[delay_ms=60000]]"))
        async with connected(service) as raw:
            await raw.send(post("Content-Length: 1000000", "Expect: 100-continue"))
            assert (await raw.answer()).status == 100
            service.process.send_signal(signal.SIGTERM)
            assert refused(await raw.answer())
        await service.logged("draining")
        status, health, _ = await service.call("GET", "/health")
        assert (status, health["draining"]) == (503, True)
        service.process.send_signal(signal.SIGTERM)
        await service.logged("drain_cut_short")
        assert await service.end() == 0
