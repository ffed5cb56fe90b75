"""Bodies that are too slow, too large, packed too tightly or made to be dear: none costs the others much."""

import asyncio
import gzip
import io
import json
import os
import time
import zlib
from contextlib import AsyncExitStack
from typing import Any

import psutil
import pytest

from orchestrator.api.parse_worker import _too_many_values
from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start
from tests.orchestrator.raw import connected, post

MIB = 1 << 20
SLOW = "[[delay_ms=20000]]"
BODY = json.dumps({"items": make_items(3)}).encode()


async def test_a_full_queue_refuses_before_the_body_is_sent(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """429 comes with none of the body there, and a client that asks first is never told to send it."""
    async with start(
        scripted_triton, max_concurrent_jobs=1, max_queued_jobs=0, drain_timeout_s=0.0
    ) as client:
        key_job = await client.submit(make_items(3, SLOW), key="k")
        for extra in ((), ("Expect: 100-continue",)):
            async with connected(client) as raw:
                await raw.send(post("Content-Length: 1000000", *extra))
                answer = await raw.answer()
                assert (answer.status, answer.json["code"]) == (429, "too_many_jobs")
                assert answer.headers["retry-after"]
        assert await client.submit(make_items(3, SLOW), key="k") == key_job


async def test_nothing_of_a_body_is_read_that_is_refused(start: Start) -> None:
    """Not loaded, a bad key, an announced size over the limit: all from the header alone."""
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("Content-Length: 10",), 503, "model_not_loaded"),
        (("Content-Length: 10", "Idempotency-Key: \t"), 400, "invalid_idempotency_key"),
        (("Content-Length: 99999999999",), 413, "body_too_large"),
    ]
    async with start() as client:
        for lines, status, code in cases:
            async with connected(client) as raw:
                await raw.send(post(*lines))
                answer = await raw.answer()
                assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_body_is_asked_for_when_it_is_wanted(start: Start, scripted_triton: TritonProcess) -> None:
    """`Expect: 100-continue` gets its interim answer, then the job; anything else expected is 417."""
    async with start(scripted_triton) as client:
        async with connected(client) as raw:
            await raw.send(post(f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
            assert (await raw.answer()).status == 100
            await raw.send(BODY)
            assert (await raw.answer()).status == 202
        async with connected(client) as raw:
            await raw.send(post("Content-Length: 5", "Expect: miracles"))
            answer = await raw.answer()
            assert (answer.status, answer.json["code"]) == (417, "expectation_failed")


async def test_old_http_gets_no_interim_answer(start: Start, scripted_triton: TritonProcess) -> None:
    """HTTP/1.0 doesn't know `Expect`: the one answer is that to the request."""
    async with start(scripted_triton) as client, connected(client) as raw:
        header = post(f"Content-Length: {len(BODY)}", "Expect: 100-continue", version="1.0")
        await raw.send(header + BODY)
        assert (await raw.answer()).status == 202


async def test_dripping_uploads_hold_up_nobody(start: Start, scripted_triton: TritonProcess) -> None:
    """Two dozen that send a byte now and then take no place, and are ended after the grace."""
    async with start(scripted_triton, upload_grace_s=1.5) as client, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(connected(client)) for _ in range(24)]
        for raw in slow:
            await raw.send(post("Content-Length: 30000000") + b"{")
        began = time.monotonic()
        await client.submit(make_items(1))
        took_s = time.monotonic() - began
        for raw in slow:
            await raw.send(b" ")
        answers = await asyncio.gather(*(raw.answer() for raw in slow))
        assert {(answer.status, answer.json["code"]) for answer in answers} == {(408, "body_timeout")}
    assert took_s < 1.5


async def test_a_steady_upload_has_a_deadline(start: Start, scripted_triton: TritonProcess) -> None:
    """Fast enough in each moment, it may still not go on for ever."""
    limits = {"body_timeout_s": 1.0, "upload_grace_s": 0.2}
    async with start(scripted_triton, **limits) as client, connected(client) as raw:
        await raw.send(post("Transfer-Encoding: chunked"))
        answering = asyncio.create_task(raw.answer())
        while not answering.done():
            await raw.send(b"400\r\n" + b" " * 1024 + b"\r\n")
            await asyncio.wait({answering}, timeout=0.05)
        answer = await answering
    assert (answer.status, answer.json["code"]) == (408, "body_timeout")
    assert "1 seconds" in answer.json["error"]


async def test_when_memory_is_full_the_slowest_gives_way(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """A large body that stands still is refused for one that comes; small ones are taken all the time."""
    limits = {"max_body_bytes": MIB, "max_upload_memory_bytes": MIB, "parse_inline_bytes": 4096}
    body = json.dumps({"items": make_items(40, "x" * 15000)}).encode()
    async with start(scripted_triton, **limits) as client, connected(client) as still:
        await still.send(post("Content-Length: 1000000") + b" " * 900_000)
        while client.service.bodies._bytes < 900_000:  # nothing tells of it
            await client.call("GET", "/health/live")
        assert await client.submit(make_items(2))
        status, _, _ = await client.call("POST", "/evaluate", data=body)
        answer = await still.answer()
        assert status == 202
        assert (answer.status, answer.json["code"]) == (503, "too_many_uploads")
        assert answer.headers["retry-after"]
        assert client.service.bodies._bytes == 0


def packed(data: bytes, wbits: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("deflate", packed(BODY, 15)),
        ("deflate", packed(BODY, -15)),
        ("identity", BODY),
    ],
)
async def test_packed_bodies_are_taken(
    start: Start, scripted_triton: TritonProcess, encoding: str, data: bytes
) -> None:
    async with start(scripted_triton) as client:
        headers = {"Content-Encoding": encoding}
        status, body, _ = await client.call("POST", "/evaluate", data=data, headers=headers)
        assert (status, body.get("total_items")) == (202, 3)


@pytest.mark.parametrize(
    ("encoding", "data", "wanted"),
    [
        ("gzip", gzip.compress(BODY)[:-9], (400, "invalid_body")),
        ("gzip", gzip.compress(BODY) + gzip.compress(b" "), (400, "invalid_body")),
        ("gzip", b"no gzip", (400, "invalid_body")),
        ("gzip", b"", (400, "invalid_body")),
        ("br", BODY, (415, "unsupported_encoding")),
        ("gzip, gzip", gzip.compress(gzip.compress(BODY)), (415, "unsupported_encoding")),
        ("gzip", gzip.compress(b" " * (33 * MIB)), (413, "body_too_large")),
        ("deflate", packed(bytes(200 * MIB), 15), (413, "body_too_large")),
    ],
)
async def test_packed_bodies_that_are_refused(
    start: Start, scripted_triton: TritonProcess, encoding: str, data: bytes, wanted: tuple[int, str]
) -> None:
    """Cut off, doubled, not packed, packed otherwise, and a bomb: by what it unpacks to."""
    async with start(scripted_triton) as client:
        headers = {"Content-Encoding": encoding}
        answer = await client.call("POST", "/evaluate", data=data, headers=headers)
        assert (answer[0], answer[1]["code"]) == wanted
        if wanted[0] == 415:
            assert answer[2]["Accept-Encoding"] == "gzip, deflate"


def hostile(size: int) -> dict[str, bytes]:
    """Bodies that cost a parser much more than their size."""

    def full(head: bytes, middle: bytes, tail: bytes) -> bytes:
        return head + middle * ((size - len(head) - len(tail)) // len(middle)) + tail

    return {
        "lists": full(b'{"items":[', b"[],", b"[]]}"),
        "half an emoji": full(b'{"items":["\\ud83d",', b"[],", b"[]]}"),
        "objects": full(b'{"items":[', b"{},", b"{}]}"),
        "items": full(b'{"items":[', b'{"id_alumno":"1"},', b"{}]}"),
        "numbers": full(b'{"items":[', b"1,", b"1]}"),
        "keys": full(b"{", b'"a":1,', b'"items":[]}'),
        "escapes": full(b'{"items":["', b"\\u00e9", b'"]}'),
        "open quotes": full(b'{"items":["', b'\\"', b""),
        "backslash": full(b'{"items":["', b"\\\\", b"\\"),
    }


async def slowest_live_s(client: Any, until: "asyncio.Future[Any]") -> float:
    """The longest that /health/live took while something else went on."""
    worst = 0.0
    while not until.done():
        began = time.perf_counter()
        assert (await client.call("GET", "/health/live"))[0] == 200
        worst = max(worst, time.perf_counter() - began)
    return worst


@pytest.mark.parametrize("kind", sorted(hostile(4096)))
async def test_a_dear_body_is_refused_beside_the_event_loop(
    start: Start, scripted_triton: TritonProcess, kind: str
) -> None:
    """4 MiB that would become a hundred: a 4xx, little memory, and the service answers meanwhile."""
    body = hostile(4 * MIB)[kind]
    async with start(scripted_triton) as client:
        await client.call(
            "POST", "/evaluate", data=io.BytesIO(hostile(MIB // 2)["lists"])
        )  # the worker is there
        worker = client.service.parser._worker
        assert worker is not None
        before = psutil.Process(worker.pid).memory_info().rss
        posting = asyncio.ensure_future(client.call("POST", "/evaluate", data=io.BytesIO(body)))
        worst_s = await slowest_live_s(client, posting)
        status, answer, _ = await posting
        assert 400 <= status < 500, answer
        assert answer["error"].endswith((".", "?"))
        assert worst_s < 1.0  # generous: other tests run beside it
        assert psutil.Process(worker.pid).memory_info().rss - before < 10 * len(body)


def test_strings_are_no_values() -> None:
    """Brackets and commas in a text count for nothing; those outside of strings do, to the last."""
    assert not _too_many_values(rb'["[[[[,,,,::::\"[[[["]', 3)
    assert _too_many_values(b'["","","",""]', 3)
    assert not _too_many_values(b'"' + rb"\"" * 10 + b",[[[[", 3)
    assert not _too_many_values(b'"abc\\', 3)


async def test_a_large_valid_body_is_taken_as_it_is(start: Start, scripted_triton: TritonProcess) -> None:
    """Through the worker the same job comes out: texts, order, and the key's digest."""
    items = make_items(200, "text " * 500)
    async with start(scripted_triton) as client:
        large = await client.submit(items, key="k")
        assert client.service.parser._worker is not None
        job = await client.service.store.reading.job(large)
        assert job is not None
        known = await client.service.store.reading.unfinished(job)
        assert [item.respuesta for item in known.items] == [item["respuesta"] for item in items]
        packed_again = gzip.compress(json.dumps({"items": items}).encode())
        headers = {"Idempotency-Key": "k", "Content-Encoding": "gzip"}
        _, body, _ = await client.call("POST", "/evaluate", data=packed_again, headers=headers)
        assert body["job_id"] == large
        await client.call("POST", f"/cancel/{large}")


async def test_a_worker_that_is_killed_is_replaced(start: Start, scripted_triton: TritonProcess) -> None:
    """Whoever ends it, the next large body is taken; and it ends with the service."""
    items = make_items(100, "text " * 1000)
    async with start(scripted_triton) as client:
        first = await client.submit(items)
        worker = client.service.parser._worker
        assert worker is not None
        os.kill(worker.pid, 9)
        second = await client.submit(items)
        after = client.service.parser._worker
        assert after is not None
        assert after.pid != worker.pid
        for job_id in (first, second):
            await client.call("POST", f"/cancel/{job_id}")
    assert not psutil.pid_exists(after.pid)
