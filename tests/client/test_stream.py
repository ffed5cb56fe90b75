"""A stream through all that networks do: each text once, in order, or a clear error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from avalua_client import (
    ApiError,
    AvaluaClient,
    Batch,
    End,
    JobExpiredError,
    JobNotFoundError,
    ProtocolError,
    Retry,
    StalledError,
    UnavailableError,
)
from tests.client.hostile import (
    HANG,
    JOB,
    PAUSE,
    REMAINING,
    RESET,
    STREAM_HEAD,
    TOTAL,
    Hostile,
    Step,
    answer,
    batch,
    end,
    error,
    status,
    whole_job,
)

WHOLE = b"".join(whole_job())
PART = WHOLE[: len(batch(1, TOTAL)) + 60]
QUICK = Retry(first_s=0.01, max_s=0.05, patience_s=20.0, queue_patience_s=20.0)
IMPATIENT = Retry(first_s=0.01, max_s=0.02, patience_s=0.1, queue_patience_s=0.1)
HEALTHY = answer(200, {"status": "healthy"})
PINGS = b": ping\n\n" * 3
WAIT_S = 30.0


async def heard(server: Hostile, retry: Retry = QUICK, **options: Any) -> tuple[list[int], End]:
    """The indexes that a client got, in order, and the end; batches must count from 1."""
    batches: list[Batch] = []
    final = None
    async with asyncio.timeout(WAIT_S), AvaluaClient(server.url, retry=retry, **options) as client:
        async for event in client.stream(JOB):
            if isinstance(event, Batch):
                batches.append(event)
            else:
                final = event
    assert final is not None
    assert [one.number for one in batches] == list(range(1, len(batches) + 1))
    return [result.index for one in batches for result in one.results], final


SCRIPTS: dict[str, list[list[Step]]] = {
    "whole": [[STREAM_HEAD, WHOLE]],
    "cut in the middle of an event": [[STREAM_HEAD, PART, RESET], [STREAM_HEAD, REMAINING]],
    "ended in the middle of an event": [[STREAM_HEAD, PART], [STREAM_HEAD, REMAINING]],
    "ended in the middle of a line with a lone CR": [
        [STREAM_HEAD, batch(1, TOTAL), batch(2, TOTAL)[:60] + b"\r"], [STREAM_HEAD, REMAINING],
    ],
    "ended before the final event": [[STREAM_HEAD, batch(1, TOTAL)], [STREAM_HEAD, REMAINING]],
    "begun again from the first event": [[STREAM_HEAD, batch(1, TOTAL), RESET], [STREAM_HEAD, WHOLE]],
    "the same events twice": [[STREAM_HEAD, batch(1, TOTAL), WHOLE]],
    "out of order": [
        [STREAM_HEAD, batch(2, TOTAL), batch(1, TOTAL)], [STREAM_HEAD, batch(1, TOTAL), batch(3, TOTAL)],
        [STREAM_HEAD, REMAINING],
    ],
    "refused, then answered": [[RESET], [], [STREAM_HEAD, WHOLE]],
    "half a head": [[STREAM_HEAD[:30], RESET], [STREAM_HEAD, WHOLE]],
    "502, 503, 504 of proxies": [
        [answer(502, b"<h1>Bad gateway</h1>")], [STREAM_HEAD, batch(1, TOTAL)], [answer(503, b"")],
        [answer(504, b"x")], [STREAM_HEAD, REMAINING],
    ],
    "429 and 503 that say when": [
        [error(429, "too_many", Retry_After="0")], [error(503, "away", Retry_After="nonsense")],
        [STREAM_HEAD, WHOLE],
    ],
    "byte by byte": [[STREAM_HEAD, *(WHOLE[place : place + 1] for place in range(len(WHOLE)))]],
    "lines that end with CR": [[STREAM_HEAD, WHOLE.replace(b"\n", b"\r")]],
    "lines that end with CRLF, cut between": [
        [STREAM_HEAD, *(piece for line in WHOLE.split(b"\n")[:-1] for piece in (line + b"\r", b"\n"))]
    ],
    "a byte order mark first": [[STREAM_HEAD, b"\xef\xbb\xbf" + WHOLE]],
    "an id with NUL": [[STREAM_HEAD, WHOLE.replace(b"id: 1\n", b"id: 1\nid: 7\x00\n")]],
    "no space behind the colon": [[STREAM_HEAD, WHOLE.replace(b"id: ", b"id:").replace(b"data: ", b"data:")]],
    "comments, other events and fields": [[
        STREAM_HEAD, PINGS, b"retry: 5\n" + batch(1, TOTAL), b'data: {"event":"hello","data":{}}\n\n',
        b"x\n", batch(2, TOTAL), batch(3, TOTAL), end(4, TOTAL),
    ]],
}  # fmt: skip


@pytest.mark.parametrize("name", SCRIPTS)
async def test_each_text_comes_once_and_in_order(name: str) -> None:
    """However the bytes are cut, repeated, delayed or lost."""
    async with Hostile(stream=SCRIPTS[name]) as server:
        indexes, final = await heard(server)
    assert indexes == list(range(TOTAL))
    assert final == End("completed", TOTAL, 0, 1.0)


async def test_whoever_waits_is_told_why() -> None:
    """In a sentence, the service's own where it gave one."""
    told: list[str] = []
    scripts: list[list[Step]] = [[RESET], [error(503, "storage_unavailable")], [STREAM_HEAD, WHOLE]]
    async with Hostile(stream=scripts) as server:
        await heard(server, on_wait=told.append)
    assert len(told) == 2
    assert all(words.endswith(" Trying again.") for words in told)
    assert "does not answer" in told[0]
    assert told[1].startswith("It is storage_unavailable.")


async def test_it_resumes_behind_what_it_has() -> None:
    """A new connection names the last event that was heard whole."""
    async with Hostile(stream=SCRIPTS["ended in the middle of an event"]) as server:
        await heard(server)
        first, second = server.of("stream")
    assert "last-event-id" not in first.headers
    assert second.headers["last-event-id"] == "1"


async def test_large_events() -> None:
    """Events of 64 KiB and a line of more than a megabyte."""
    for size in (32_768, 700_000):
        stream = [
            STREAM_HEAD,
            *(batch(number, TOTAL, feedback="a" * size) for number in (1, 2, 3)),
            end(4, TOTAL),
        ]
        async with Hostile(stream=[stream]) as server:
            assert (await heard(server))[0] == list(range(TOTAL))


async def test_a_proxy_that_keeps_all_to_itself() -> None:
    """It hands out nothing until the answer is whole: silence is given up, and asked again until it is."""
    held = [STREAM_HEAD, HANG]
    async with Hostile(stream=[[HANG], held, held, [STREAM_HEAD, WHOLE]], health=[[HEALTHY]]) as server:
        indexes, _ = await heard(server, silence_s=0.1)
    assert indexes == list(range(TOTAL))


async def test_a_stream_that_lives_for_longer_than_any_answer_may_take() -> None:
    """Only silence has a limit: signs of life keep a stream open for as long as the job takes."""
    lived: list[list[Step]] = [[STREAM_HEAD, *[PINGS, PAUSE] * 10, WHOLE]]
    async with Hostile(stream=lived) as server:
        indexes, _ = await heard(server, timeout_s=0.2, silence_s=0.4)
        assert len(server.calls) == 1
    assert indexes == list(range(TOTAL))


async def test_silence_with_a_service_that_lives() -> None:
    """A job that takes longer than the client's patience is waited for while the service answers."""
    held: Sequence[Step] = [STREAM_HEAD, HANG]
    scripts = [held] * 8 + [[STREAM_HEAD, WHOLE]]
    async with Hostile(stream=scripts, health=[[HEALTHY]]) as server:
        indexes, _ = await heard(server, IMPATIENT, silence_s=0.05)
        assert server.of("health")
    assert indexes == list(range(TOTAL))


async def test_a_client_that_comes_too_late_for_the_stream() -> None:
    """204 says that there is no more to hear: the end is asked for."""
    scripts: list[list[Step]] = [[STREAM_HEAD, WHOLE[: -len(end(4, TOTAL))]], [answer(204, b"")]]
    async with Hostile(stream=scripts, status=[[status("completed", TOTAL, TOTAL)]]) as server:
        indexes, final = await heard(server)
    assert indexes == list(range(TOTAL))
    assert (final.status, final.total_processed) == ("completed", TOTAL)


EXPIRED = b'data: {"event":"error","data":{"code":"job_expired","error":"It has expired."}}\n\n'
FAILURES: dict[str, tuple[list[list[Step]], type[Exception], str]] = {
    "404": ([[error(404, "job_not_found")]], JobNotFoundError, "job_not_found"),
    "410": ([[error(410, "job_expired")]], JobExpiredError, "job_expired"),
    "410 on the way": (
        [[STREAM_HEAD, batch(1, TOTAL)], [error(410, "job_expired")]], JobExpiredError, "job_expired",
    ),
    "expired while it was open": ([[STREAM_HEAD, batch(1, TOTAL), EXPIRED]], JobExpiredError, "expired"),
    "421": ([[error(421, "unknown_host")]], ApiError, "unknown_host"),
    "another service": (
        [[answer(200, b"<h1>Hello</h1>", Content_Type="text/html")]], ProtocolError, "right address",
    ),
    "another service's 404": ([[answer(404, b"nothing here")]], ProtocolError, "right address"),
    "moved": ([[answer(308, b"", Location="https://there/")]], Exception, "moved to https://there/"),
    "a batch that stays missing": ([[STREAM_HEAD, batch(2, TOTAL)]], ProtocolError, "batch 1 is missing"),
    "a text twice": (
        [[STREAM_HEAD, batch(1, TOTAL), batch(1, TOTAL).replace(b"id: 1", b"id: 2")]], ProtocolError, "twice",
    ),
    "an end that counts others": (
        [[STREAM_HEAD, batch(1, TOTAL), end(2, TOTAL)]], ProtocolError, "6 results, and 2 came",
    ),
    "204 for a job that goes on": ([[answer(204, b"")]], ProtocolError, "goes on"),
    "never there": ([[RESET]], UnavailableError, "is the service running"),
    "always busy": ([[error(429, "too_many")]], ApiError, "too_many"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
async def test_what_can_t_go_on_is_one_clear_error(name: str) -> None:
    """Of the kind that says whose fault it is."""
    scripts, kind, words = FAILURES[name]
    on_the_way = [[status("processing", 2, TOTAL)]]
    async with Hostile(stream=scripts, status=on_the_way) as server:
        with pytest.raises(kind, match=words) as caught:
            await heard(server, IMPATIENT)
    assert "\n" not in str(caught.value)


async def test_signs_of_life_alone_are_not_enough() -> None:
    """Comments keep a stream alive, but not for ever when nothing is marked."""
    keeping: list[list[Step]] = [[STREAM_HEAD, PINGS, HANG]]
    async with Hostile(stream=keeping, health=[[HEALTHY]]) as server:
        with pytest.raises(StalledError, match="no new result"):
            await heard(server, stall_s=0.3)
        with pytest.raises(StalledError, match="no new result"):
            await heard(server, IMPATIENT, stall_s=0.3, silence_s=0.05)
