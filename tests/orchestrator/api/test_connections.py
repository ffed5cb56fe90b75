"""Connections that idle, send half a header, never read or speak no HTTP: ended, few, and cheap."""

import asyncio
import json
import resource
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest

from orchestrator.api.connections import most_connections
from orchestrator.config import Settings
from orchestrator.errors import StartError
from testkit.triton import TritonProcess
from tests.open_files import open_files
from tests.orchestrator.client import WAIT_S, Client, make_items
from tests.orchestrator.conftest import OwnProcess, Start
from tests.orchestrator.raw import Raw, connected, head

TABLES = Settings().max_open_tables
QUICK = {"header_timeout_s": 0.5, "keepalive_timeout_s": 1.0}


async def closed_count(client: Client, reason: str) -> float:
    _, text, _ = await client.call("GET", "/metrics")
    lines = [line for line in text.splitlines() if line.startswith("avalua_connections_closed_total")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if f'"{reason}"' in line)


@pytest.mark.parametrize("sent", [b"", b"GET /health HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX:"])
async def test_a_header_has_a_deadline(start: Start, sent: bytes) -> None:
    """Nothing at all, half a line, half a header."""
    async with start(**QUICK) as client, connected(client) as raw:
        await raw.send(sent)
        await raw.closed()
        assert await closed_count(client, "header_late") == 1


async def test_a_header_that_drips_has_a_deadline_too(start: Start) -> None:
    """Each byte in time, the whole too late; also when it is the second request of a connection."""
    async with start(header_timeout_s=0.5, keepalive_timeout_s=60.0) as client, connected(client) as raw:
        await raw.send(head("GET", "/health/live"))
        assert (await raw.answer()).status == 200
        await raw.send(b"GET / HTTP/1.1\r\nX: ")
        closed = asyncio.create_task(raw.closed())
        while not closed.done():
            try:
                await raw.send(b"G")
            except ConnectionError:
                break
            await asyncio.wait({closed}, timeout=0.05)
        await closed
        assert await closed_count(client, "header_late") == 1


async def test_an_idle_connection_is_closed(start: Start) -> None:
    """After an answer it stays open for a while, and no longer."""
    async with start(header_timeout_s=60.0, keepalive_timeout_s=0.3) as client, connected(client) as raw:
        await raw.send(head("GET", "/health/live"))
        assert (await raw.answer()).status == 200
        await raw.closed()


async def test_idle_connections_make_room_for_others(start: Start) -> None:
    """Three times as many as there are places: the longest idle end, and everybody is answered."""
    limits = {"max_connections": 12, "health_connections": 4, "header_timeout_s": 60.0}
    async with start(**limits) as client, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(connected(client)) for _ in range(36)]
        assert (await client.call("GET", "/health/live"))[0] == 200
        assert (await client.call("GET", "/openapi.json"))[0] == 200
        await idle[0].closed()
        assert await closed_count(client, "too_many") >= 24
        await idle[-1].send(head("GET", "/health/live"))
        assert (await idle[-1].answer()).status == 200


async def test_places_are_kept_for_health(start: Start, scripted_triton: TritonProcess) -> None:
    """With all others busy for long, health and metrics are answered, and the rest is told why not."""
    limits = {"max_connections": 6, "health_connections": 2, "drain_timeout_s": 0.0}
    async with start(scripted_triton, **limits) as client, AsyncExitStack() as stack:
        job_id = await client.submit(make_items(3, "[[delay_ms=20000]]"))
        streams = [await stack.enter_async_context(connected(client)) for _ in range(3)]
        for raw in streams:
            await raw.send(head("GET", f"/stream/{job_id}"))
            await raw.reader.readuntil(b"\r\n\r\n")
        # The client's own connection is the fourth; what comes now has a place for health alone.
        async with connected(client) as busy:
            await busy.send(head("GET", f"/stream/{job_id}"))
            await busy.reader.readuntil(b"\r\n\r\n")
            for path in ("/health", "/health/live", "/metrics"):
                async with connected(client) as raw:
                    await raw.send(head("GET", path, version="1.0"))
                    assert b" 200 " in await raw.reader.readline()
            async with connected(client) as raw:
                await raw.send(head("GET", f"/status/{job_id}"))
                answer = await raw.answer()
                assert (answer.status, answer.json["code"]) == (503, "too_many_connections")
                assert answer.headers["connection"] == "close"


async def test_a_client_that_never_reads_is_ended(start: Start, scripted_triton: TritonProcess) -> None:
    """Results, the event stream and a page's large file: each connection ends in time."""
    async with start(scripted_triton, send_timeout_s=0.5, sse_send_timeout_s=0.5) as client:
        job_id = await client.submit(make_items(2000, "x " * 100))
        await client.stream(job_id)
        paths = (f"/results/{job_id}", f"/stream/{job_id}", "/docs/swagger-ui-bundle.js")
        async with AsyncExitStack() as stack:
            waiting: list[Raw] = []
            for path in paths:
                raw = await stack.enter_async_context(connected(client, small_buffer=True))
                # Many requests one behind the other: what a kernel holds is not enough for all of them.
                await raw.send(head("GET", path) * 30)
                waiting.append(raw)
            async with asyncio.timeout(30):
                while await closed_count(client, "not_reading") < len(paths):  # nothing tells of it
                    pass
            for raw in waiting:
                await raw.closed()


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03secret", 400, "bad_request"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 431, "header_too_large"),
        (head("GET", "/health", "X: " + "a" * 9000), 431, "header_too_large"),
        (head("GET", "/health", *(f"X-{i}: a" for i in range(500))), 400, "bad_request"),
        (head("GET", "/health", "Content-Length: 1", "Content-Length: 2"), 400, "bad_request"),
        (head("GET", "/health", "Content-Length: x"), 400, "bad_request"),
    ],
)
async def test_errors_of_the_parser_are_json(start: Start, sent: bytes, status: int, code: str) -> None:
    async with start() as client, connected(client) as raw:
        await raw.send(sent)
        answer = await raw.answer()
        assert (answer.status, answer.json["code"]) == (status, code)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["server"] == "avalua"
        assert b"secret" not in answer.body
        await raw.closed()


async def test_a_broken_chunk_is_json_too(start: Start, scripted_triton: TritonProcess) -> None:
    """An error of the parser in the middle of a body."""
    async with start(scripted_triton) as client, connected(client) as raw:
        lines = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        await raw.send(head("POST", "/evaluate", *lines) + b"2\r\n{}\r\n")
        while not client.service.bodies._held:  # nothing tells of it
            await client.call("GET", "/health/live")
        await raw.send(b"zz\r\n")
        answer = await raw.answer()
        assert (answer.status, answer.json["code"]) == (400, "invalid_body")


@contextmanager
def few_files(count: int) -> Iterator[None]:
    """A process started in the block may open so many files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_more_connections_than_descriptors(own_process: OwnProcess) -> None:
    """A crowd that only connects keeps nobody out, and the log says next to nothing of it."""
    await own_process.end()
    with few_files(256):
        await own_process.launch()
    host, port = own_process.base.removeprefix("http://").split(":")
    crowd = []
    try:
        for _ in range(300):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((host, int(port)))
            crowd.append(sock)
            if len(crowd) % 50 == 0:
                status, _, _ = await own_process.call("GET", "/health/live")
                assert status == 200
        job_id = await own_process.submit(make_items(2))
        assert (await own_process.stream(job_id)).final["status"] == "completed"
    finally:
        for sock in crowd:
            sock.close()
    assert len(own_process._said) < 20


async def test_tables_that_nobody_reads_leave_descriptors(own_process: OwnProcess) -> None:
    """Each has a file until it is sent; many of them keep nobody out."""
    await own_process.end()
    with few_files(256):
        await own_process.launch()
    job_id = await own_process.submit(make_items(1500))
    await own_process.stream(job_id)
    async with AsyncExitStack() as stack:
        for _ in range(100):
            raw = await stack.enter_async_context(connected(own_process, small_buffer=True))
            await raw.send(head("GET", f"/results/{job_id}?format=csv"))
        async with asyncio.timeout(WAIT_S):
            while sum("(deleted)" in name for name in open_files(own_process.process.pid)) < TABLES:
                status, _, _ = await own_process.call("GET", "/health/live")
                assert status == 200
        assert len(open_files(own_process.process.pid)) < 256
        status, _, _ = await own_process.call("GET", f"/results/{job_id}")
        assert status == 200


def test_settings_that_do_not_fit_the_process() -> None:
    """More connections than descriptors stop the start with a line that says what to do."""
    with few_files(256):
        assert most_connections(Settings()) == 128
        with pytest.raises(StartError, match="ulimit"):
            most_connections(Settings(max_connections=200))
        with pytest.raises(StartError, match="HEALTH_CONNECTIONS"):
            most_connections(Settings(max_connections=10))


async def test_results_come_whole_and_in_order(start: Start, scripted_triton: TritonProcess) -> None:
    """Sent a part at a time, in each form, they are the same rows in the order of the items."""
    items = make_items(350)
    for number, item in enumerate(items):
        item["respuesta"] += f"[[delay_ms={(number * 37) % 300}]]"
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        await client.stream(job_id)
        _, whole, _ = await client.call("GET", f"/results/{job_id}")
        _, lines, _ = await client.call("GET", f"/results/{job_id}?format=ndjson")
    assert [row["index"] for row in whole["results"]] == list(range(350))
    assert (whole["completed"], whole["failed_items"]) == (350, 0)
    assert [json.loads(line)["index"] for line in lines.splitlines()] == list(range(350))
