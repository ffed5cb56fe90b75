"""Hints: who waits for a change hears of it, in this process and in others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from orchestrator.store import Store, open_store
from orchestrator.store.notify import MAX_JOBS, JobHint
from orchestrator.tasks import running
from testkit.postgres import PostgresServer
from tests.orchestrator.store.conftest import batcher_of, claim, create, marks, settings_of

WAIT_S = 20.0


@pytest.fixture
async def listening(stores: tuple[Store, Store]) -> AsyncIterator[tuple[Store, Store]]:
    """Both hear."""
    async with AsyncExitStack() as stack:
        for store in {id(store): store for store in stores}.values():
            await stack.enter_async_context(running(store.hints.run(), "hints", lambda: None))
            if store.shared:
                await store.hints.work(WAIT_S)  # told once it hears
        yield stores


async def hint_of(store: Store, job_id: str, last_event: int) -> JobHint:
    """The hint that a job has come so far."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for hint in await store.hints.jobs(WAIT_S):
                if hint.id == job_id and hint.last_event >= last_event:
                    return hint


async def test_a_new_job_is_told_to_workers(listening: tuple[Store, Store]) -> None:
    """Of other processes, too."""
    waiting = asyncio.create_task(listening[1].hints.work(WAIT_S))
    await asyncio.sleep(0)
    await create(listening[0])
    async with asyncio.timeout(WAIT_S / 2):
        await waiting


async def test_commits_and_ends_are_told_to_who_listens(listening: tuple[Store, Store]) -> None:
    """With how far the job is, and whether more will come."""
    await create(listening[0])
    claimed = await claim(listening[0], "a")
    batcher = batcher_of(claimed)
    await listening[0].committing.commit([marks(batcher, [0, 1], claimed.epoch)])
    assert await hint_of(listening[1], claimed.job.id, 1) == JobHint(claimed.job.id, 1, terminal=False)
    await listening[0].committing.commit([marks(batcher, [2], claimed.epoch)])
    assert await hint_of(listening[1], claimed.job.id, 3) == JobHint(claimed.job.id, 3, terminal=True)


async def test_a_cancel_is_told_to_the_worker_that_has_the_job(listening: tuple[Store, Store]) -> None:
    """It need not wait for its next heartbeat."""
    job = await create(listening[0])
    await claim(listening[1], "b")
    while True:
        try:
            async with asyncio.timeout(0.2):
                await listening[1].hints.work(WAIT_S)  # what was told before
        except TimeoutError:
            break
    await listening[0].claims.request_cancel(job.id)
    async with asyncio.timeout(WAIT_S / 2):
        await listening[1].hints.work(WAIT_S)


async def test_nothing_told_is_no_reason_to_wait_for_ever(store: Store) -> None:
    """Who waits looks by itself after its time."""
    assert await store.hints.jobs(0.01) == []
    await store.hints.work(0.01)


async def test_hints_are_bounded(store: Store) -> None:
    """Nobody takes them where nobody listens."""
    for number in range(2):
        store.hints.told(JobHint(str(n), number, terminal=False) for n in range(MAX_JOBS + 5))
    found = await store.hints.jobs(1)
    assert len(found) == MAX_JOBS
    assert {hint.last_event for hint in found} == {1}


async def test_who_listens_hears_again_after_a_restart(own_postgres: PostgresServer) -> None:
    """The connection is opened anew, and whoever waits for work is told to look."""
    url = own_postgres.create_database()
    async with (
        open_store(settings_of(url)) as one,
        open_store(settings_of(url)) as other,
        running(other.hints.run(), "hints", lambda: None),
    ):
        await other.hints.work(WAIT_S)
        own_postgres.kill()
        own_postgres.start()
        async with asyncio.timeout(WAIT_S / 2):
            await other.hints.work(WAIT_S)
        job = await create(one)
        assert (await hint_of(other, job.id, 0)).id == job.id


async def test_strange_notifications_are_passed_over(listening: tuple[Store, Store]) -> None:
    """The channel's name is known to others."""
    store = listening[1]
    for payload in ("", "x", "x y z", "1 2", "\u00e9 \u0661 1"):
        store.hints._heard(None, 0, "avalua", payload)  # as the driver calls it
    await store.hints.jobs(0.01)
