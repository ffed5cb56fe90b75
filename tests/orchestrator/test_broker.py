"""The broker: each subscriber gets every event once and in order, whoever commits and whatever gets lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from orchestrator.broker import KEPT_FRAMES, Broker, Cursor
from orchestrator.errors import JobExpiredError, StoreUnavailableError
from orchestrator.jobs import Job
from orchestrator.jobs.batching import Batcher
from orchestrator.store import Store, open_store
from orchestrator.store.committing import Change, Committed
from orchestrator.store.notify import JobHint
from orchestrator.tasks import running
from testkit.postgres import PostgresServer
from tests.orchestrator.client import WAIT_S
from tests.orchestrator.store.conftest import batcher_of, claim, create, execute, marks, settings_of

NEVER_S = 3600.0  # a poll that does not come while a test runs


class Process:
    """A store and a broker, as one process has them."""

    def __init__(self, store: Store, broker: Broker) -> None:
        self.store = store
        self.broker = broker

    async def commit(self, change: Change) -> None:
        """As the committer does it: to the store first, however often that takes, then to the sinks."""
        async with asyncio.timeout(WAIT_S):
            while not await self._written(change):
                pass
        self.broker.committed(Committed((change,), time.monotonic()))

    async def _written(self, change: Change) -> bool:
        try:
            await self.store.committing.commit([change])
        except StoreUnavailableError:
            return False
        return True

    async def read(self, job: Job, after: int = 0) -> list[int]:
        """The numbers of all events that a subscriber gets until the end."""
        numbers: list[int] = []
        async with asyncio.timeout(WAIT_S), self.broker.subscribe(job, after) as cursor:
            while True:
                numbers += [number_of(frame) for frame in await cursor.read()]
                if cursor.ended:
                    return numbers
                await cursor.wait(WAIT_S)


async def read_on(cursor: Cursor) -> None:
    """Reads what there is until the end."""
    while not cursor.ended:
        await cursor.read()


def number_of(frame: bytes) -> int:
    return int(frame.split(b"\n")[0].removeprefix(b"id: "))


@asynccontextmanager
async def process(url: str, *, hears: bool = True, poll_s: float = NEVER_S) -> AsyncIterator[Process]:
    """One whose broker works; `hears`: it gets the hints of other processes."""
    died: list[str] = []
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings_of(url, lease_s=60.0)))
        broker = Broker(store, poll_s)
        await stack.enter_async_context(running(broker.run(), "broker", lambda: died.append("broker")))
        if hears and store.shared:
            await stack.enter_async_context(running(store.hints.run(), "hints", lambda: died.append("hints")))
            await store.hints.work(WAIT_S)  # told once it hears
        yield Process(store, broker)
    assert not died


async def started(at: Process, total: int, batch_size: int = 1) -> tuple[Job, Batcher, int]:
    """A job that some worker has claimed, and the epoch of that."""
    await create(at.store, total=total, batch_size=batch_size)
    claimed = await claim(at.store, "w")
    return claimed.job, batcher_of(claimed), claimed.epoch


async def until(condition: Callable[[], bool]) -> None:
    """Returns once it holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0.01)


async def until_followed(broker: Broker, count: int) -> None:
    """Returns once there are so many subscribers."""
    await until(lambda: broker.subscribers >= count)


async def test_events_of_another_process_come_in_order(postgres: PostgresServer) -> None:
    """Subscribers of both processes, early and late, get every event of one that commits, by hints alone."""
    url = postgres.create_database()
    async with process(url) as worker, process(url) as other:
        job, batcher, epoch = await started(worker, total=80)
        readers = [asyncio.create_task(at.read(job)) for at in (worker, other, other)]
        await until_followed(other.broker, 2)
        for index in range(80):
            await worker.commit(marks(batcher, [index], epoch))
            if index == 40:
                readers.append(asyncio.create_task(other.read(job)))
                readers.append(asyncio.create_task(other.read(job, after=17)))
        *all_of_it, behind = await asyncio.gather(*readers)
    assert all_of_it == [list(range(1, 82))] * 4
    assert behind == list(range(18, 82))


async def test_a_lost_hint_is_made_up_for_by_polling(postgres: PostgresServer) -> None:
    """A process that hears nothing of others finds their events all the same."""
    url = postgres.create_database()
    async with process(url) as worker, process(url, hears=False, poll_s=0.05) as deaf:
        job, batcher, epoch = await started(worker, total=12)
        reader = asyncio.create_task(deaf.read(job))
        await until_followed(deaf.broker, 1)
        for index in range(12):
            await worker.commit(marks(batcher, [index], epoch))
        assert await reader == list(range(1, 14))


async def test_polling_goes_on_where_hints_never_cease(postgres: PostgresServer) -> None:
    """Those of busy jobs keep nobody from finding the events of one whose hint was lost."""
    url = postgres.create_database()
    async with process(url) as worker, process(url, hears=False, poll_s=0.2) as deaf:
        job, batcher, epoch = await started(worker, total=3)

        async def busy() -> None:
            while True:
                deaf.store.hints.told([JobHint("another", 1, terminal=False)])
                await asyncio.sleep(0.01)

        async with running(busy(), "busy", lambda: None):
            reader = asyncio.create_task(deaf.read(job))
            await until_followed(deaf.broker, 1)
            for index in range(3):
                await worker.commit(marks(batcher, [index], epoch))
            async with asyncio.timeout(10):
                assert await reader == [1, 2, 3, 4]


async def test_who_comes_to_a_job_that_moved_elsewhere_gets_all_of_it(postgres: PostgresServer) -> None:
    """Events that were committed elsewhere while nobody here listened wait for no hint."""
    url = postgres.create_database()
    async with process(url, hears=False) as first, process(url) as second:
        job, batcher, epoch = await started(first, total=60)
        for index in range(3):
            await first.commit(marks(batcher, [index], epoch))
        for index in range(3, 60):
            await second.commit(marks(batcher, [index], epoch))
        assert await first.read(job) == list(range(1, 62))
        assert not first.broker._topics


@pytest.mark.parametrize("seed", range(4))
async def test_any_mixture_of_ways_shows_each_event_once(postgres: PostgresServer, seed: int) -> None:
    """Commits here and there, hints that are early, late, double, lost or out of date, and polls."""
    draw = random.Random(seed)
    url = postgres.create_database()
    async with process(url, hears=False, poll_s=0.03) as here, process(url, hears=False) as there:
        job, batcher, epoch = await started(here, total=90)
        readers = []
        for index in range(90):
            change = marks(batcher, [index], epoch)
            if draw.random() < 0.1:
                after = draw.randrange(change.job.last_event)
                readers.append((after, asyncio.create_task(here.read(job, after))))
                await asyncio.sleep(0)
            await (here if draw.random() < 0.5 else there).commit(change)
            if draw.random() < 0.3:
                last = draw.randrange(1, change.job.last_event + 1)
                here.store.hints.told([JobHint(job.id, last, terminal=False)])
            if draw.random() < 0.3:
                await asyncio.sleep(draw.random() / 50)
        for after, reader in readers:
            assert await reader == list(range(after + 1, 92))


async def test_a_subscriber_of_a_purged_job_is_told(tmp_path: Path) -> None:
    """What follows a hole must not look whole: neither where all is gone nor where some is."""
    async with process(f"sqlite:///{tmp_path}/jobs.sqlite3") as here:
        job, batcher, epoch = await started(here, total=80)
        async with here.broker.subscribe(job, 0) as early, here.broker.subscribe(job, 0) as late:
            for index in range(80):
                await here.commit(marks(batcher, [index], epoch))
            assert len(await early.read()) > 0
            await execute(here.store, "DELETE FROM events WHERE number BETWEEN 20 AND 60")
            with pytest.raises(JobExpiredError):
                await read_on(early)
            assert early.after < 20
            await execute(here.store, "DELETE FROM events")
            with pytest.raises(JobExpiredError):
                await late.read()
        assert not here.broker._topics


async def test_the_newest_events_need_no_store(tmp_path: Path) -> None:
    """Who keeps up is served from memory."""
    async with process(f"sqlite:///{tmp_path}/jobs.sqlite3") as here:
        job, batcher, epoch = await started(here, total=KEPT_FRAMES - 1)
        for index in range(KEPT_FRAMES - 1):
            async with here.broker.subscribe(job, 0):
                await here.commit(marks(batcher, [index], epoch))
            if index == KEPT_FRAMES - 3:
                await execute(here.store, "DELETE FROM events")
                async with here.broker.subscribe(job, 0) as cursor:
                    assert len(await cursor.read()) == KEPT_FRAMES - 2


async def test_a_job_that_is_gone_ends_for_who_still_listens(postgres: PostgresServer) -> None:
    """Ended, expired and forgotten while hints were lost: a subscriber is told, and not kept for ever."""
    url = postgres.create_database()
    async with process(url, hears=False, poll_s=0.05) as here:
        job, _, _ = await started(here, total=3)
        reader = asyncio.create_task(here.read(job))
        await until_followed(here.broker, 1)
        await execute(here.store, "DELETE FROM items")
        await execute(here.store, "DELETE FROM jobs")
        with pytest.raises(JobExpiredError):
            await reader


async def test_events_that_make_no_sense_end_no_other_stream(tmp_path: Path) -> None:
    """The broker goes on where a row of one job is damaged."""
    async with process(f"sqlite:///{tmp_path}/jobs.sqlite3", poll_s=0.05) as here:
        broken, batcher, epoch = await started(here, total=2)
        await here.store.committing.commit([marks(batcher, [0], epoch)])
        await execute(here.store, "UPDATE events SET payload = 7, number = 'x'")
        async with here.broker.subscribe(broken, 0):
            here.store.hints.told([JobHint(broken.id, 1, terminal=False)])
            job, batcher, epoch = await started(here, total=2)
            reader = asyncio.create_task(here.read(job))
            await until_followed(here.broker, 2)
            for index in range(2):
                await here.store.committing.commit([marks(batcher, [index], epoch)])
            assert await reader == [1, 2, 3]


async def test_what_ends_is_forgotten(postgres: PostgresServer) -> None:
    """Jobs that ended here or elsewhere leave nothing behind, whether somebody listened or not."""
    url = postgres.create_database()
    async with process(url) as here, process(url, poll_s=0.05) as there:
        for listened in (True, False):
            job, batcher, epoch = await started(here, total=2)
            reader = asyncio.create_task(there.read(job)) if listened else None
            await there.commit(marks(batcher, [0], epoch))
            await here.commit(marks(batcher, [1], epoch))
            if reader is not None:
                await reader
        await until(lambda: not (here.broker._topics or there.broker._topics))
    assert (here.broker.subscribers, there.broker.subscribers) == (0, 0)


async def test_a_restart_of_the_database_ends_no_stream(own_postgres: PostgresServer) -> None:
    """Who listens waits, and gets what was committed meanwhile and afterwards."""
    url = own_postgres.create_database()
    async with process(url, poll_s=0.1) as here, process(url, hears=False, poll_s=0.1) as there:
        job, batcher, epoch = await started(here, total=4)
        reader = asyncio.create_task(there.read(job))
        await until_followed(there.broker, 1)
        await here.commit(marks(batcher, [0], epoch))
        own_postgres.kill()
        there.store.hints.told([JobHint(job.id, 1, terminal=False)])
        own_postgres.start()
        for index in (1, 2, 3):
            await here.commit(marks(batcher, [index], epoch))
        assert await reader == [1, 2, 3, 4, 5]
