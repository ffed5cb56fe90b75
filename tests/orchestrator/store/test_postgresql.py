"""PostgreSQL restarts, hangs, is locked by somebody who was stopped, and hears hints of other processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from orchestrator.errors import StartError, StoreUnavailableError
from orchestrator.store import Store, open_store
from orchestrator.store.postgresql import PATIENCE
from testkit.postgres import PostgresServer
from tests.orchestrator.store.conftest import IDLE, batcher_of, claim, create, execute, marks, settings_of

TIMEOUT_S = 0.5
MARGIN_S = 1.5
"""For the machine, not for us."""


@asynccontextmanager
async def opened(url: str, **more: Any) -> AsyncIterator[Store]:
    async with open_store(settings_of(url, **{"database_timeout_s": TIMEOUT_S, **more})) as store:
        yield store


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of somebody else."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def test_a_restart_in_the_middle_is_survived(own_postgres: PostgresServer) -> None:
    """While it is away: unavailable, at once. Then the same commit succeeds, and nothing was lost."""
    async with opened(own_postgres.create_database()) as store:
        await create(store)
        claimed = await claim(store, "a")
        change = marks(batcher_of(claimed), [0, 1], claimed.epoch)
        await asyncio.gather(*(store.reading.backlog() for _ in range(6)))  # fills the pool
        own_postgres.kill()
        with pytest.raises(StoreUnavailableError):
            await store.committing.commit([change])
        with pytest.raises(StoreUnavailableError):
            await create(store)
        own_postgres.start()
        await store.committing.commit([change])
        assert len(await store.reading.events(claimed.job.id, 0)) == 1
        await asyncio.gather(*(store.reading.backlog() for _ in range(6)))


async def test_a_database_that_no_longer_answers_is_unavailable_in_time(own_postgres: PostgresServer) -> None:
    """Every call returns within its time, on old connections and on new ones, and works again later."""
    async with opened(own_postgres.create_database()) as store:
        await create(store)
        claimed = await claim(store, "a")
        change = marks(batcher_of(claimed), [0, 1], claimed.epoch)
        own_postgres.pause()
        try:
            for _ in range(2):
                began = time.monotonic()
                tries = await asyncio.gather(
                    store.committing.commit([change]),
                    store.claims.beat("a", IDLE, ()),
                    create(store),
                    *(store.reading.job(claimed.job.id) for _ in range(12)),
                    store.purge.step(store.clock.now(), 3600),
                    return_exceptions=True,
                )
                assert {type(one) for one in tries} == {StoreUnavailableError}
                assert time.monotonic() - began < 2 * TIMEOUT_S + MARGIN_S
        finally:
            own_postgres.resume()
        await store.committing.commit([change])
        assert len(await store.reading.events(claimed.job.id, 0)) == 1


async def test_the_end_does_not_wait_for_a_database_that_no_longer_answers(
    own_postgres: PostgresServer,
) -> None:
    """The service can stop, whatever has become of the network."""
    url = own_postgres.create_database()
    async with opened(url) as store:
        await asyncio.gather(*(store.reading.backlog() for _ in range(6)))
        own_postgres.pause()
        began = time.monotonic()
    own_postgres.resume()
    assert time.monotonic() - began < 6 * TIMEOUT_S + MARGIN_S


async def test_a_caller_that_gives_up_leaves_the_connection_in_order(postgres: PostgresServer) -> None:
    """As where a client goes while its request is being answered."""
    async with opened(postgres.create_database()) as store:
        for _ in range(30):
            task = asyncio.create_task(create(store))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
        found = (await store.reading.backlog()).jobs
        await create(store)
        assert (await store.reading.backlog()).jobs == found + 1


async def test_a_commit_whose_answer_was_lost_is_not_written_twice(postgres: PostgresServer) -> None:
    """The connection broke between the commit and its answer: the next try finds it written."""
    async with opened(postgres.create_database()) as store:
        await create(store)
        claimed = await claim(store, "a")
        batcher = batcher_of(claimed)
        for indexes in ([0, 1], [2]):
            change = marks(batcher, indexes, claimed.epoch)
            await store.committing.commit([change])
            store.committing._unsure = True  # no test can break it just there
            await store.committing.commit([change])
        assert [number for number, _ in await store.reading.events(claimed.job.id, 0)] == [1, 2, 3]


async def test_a_row_that_somebody_holds_is_waited_for_no_longer_than_allowed(
    postgres: PostgresServer,
) -> None:
    """A process was stopped inside a transaction: claims pass by its row, others are told in time."""
    url = postgres.create_database()
    async with opened(url) as store, raw(url) as other:
        held, free = await create(store), await create(store)
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT id FROM jobs WHERE id = $1 FOR UPDATE", held.id)
        assert (await claim(store, "a")).job.id == free.id
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            await store.claims.request_cancel(held.id)
        assert time.monotonic() - began < TIMEOUT_S + MARGIN_S
        await transaction.rollback()
        assert (await claim(store, "a")).job.id == held.id


async def test_the_server_ends_the_transaction_of_a_process_that_was_stopped(
    postgres: PostgresServer,
) -> None:
    """Within less than a lease, so that its rows are free for who takes its jobs over."""
    url = postgres.create_database()
    async with opened(url) as stopped, opened(url) as store:
        job = await create(store)

        async def is_stopped() -> None:
            async with stopped.database.write() as connection:
                await connection.exec_driver_sql("SELECT id FROM jobs FOR UPDATE")
                # As it goes with a process that is stopped: it does nothing, and hangs up on nobody.
                (await connection.get_raw_connection()).info[PATIENCE].stop()
                async with asyncio.timeout(10):
                    while not await store.claims.claim("b", max_jobs=10):  # noqa: ASYNC110  nobody tells
                        await asyncio.sleep(0.02)
                await connection.exec_driver_sql("SELECT 1")

        with pytest.raises(StoreUnavailableError):
            await is_stopped()
        claimed = await store.reading.job(job.id)
        assert claimed is not None
        await stopped.try_write()


async def test_several_processes_may_start_at_once(postgres: PostgresServer) -> None:
    """One of them makes the tables."""
    url = postgres.create_database()

    async def start() -> None:
        async with opened(url, database_timeout_s=5.0) as store:
            await create(store)

    await asyncio.gather(*(start() for _ in range(5)))
    async with opened(url) as store:
        assert (await store.reading.backlog()).jobs == 5


async def test_several_processes_purge_the_same_jobs(postgres: PostgresServer) -> None:
    """Expired jobs go, whoever is at it; one that has not ended stays, whatever its row says."""
    url = postgres.create_database()
    async with opened(url, database_timeout_s=5.0) as one, opened(url, database_timeout_s=5.0) as other:
        jobs = [await create(one) for _ in range(6)]
        for job in jobs[1:]:
            await one.claims.request_cancel(job.id)
        await execute(one, "UPDATE jobs SET expires_at = 1")

        async def purge(store: Store) -> None:
            while await store.purge.step(store.clock.now(), 3600):
                pass

        await asyncio.gather(purge(one), purge(other), purge(one))
        assert len(await one.reading.items(jobs[0].id)) == 3
        for job in jobs[1:]:
            assert await one.reading.items(job.id) == []
            assert await one.reading.events(job.id, 0) == []


async def test_nothing_is_there_at_the_start(own_postgres: PostgresServer) -> None:
    """The start ends with one line, soon, that does not show the password."""
    url = own_postgres.url.replace("postgres@", "postgres:secret@")
    own_postgres.pause()
    try:
        with pytest.raises(StartError) as caught:
            async with opened(url):
                pass
    finally:
        own_postgres.resume()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
