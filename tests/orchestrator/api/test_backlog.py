"""What is known of jobs that have not ended: read seldom, never out of date where one has ended here."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.api.backlog import RecentBacklog
from orchestrator.jobs.backlog import MAX_RETRY_AFTER_S, next_end_s, seconds
from orchestrator.store import Store, open_store
from orchestrator.store.committing import Committed
from orchestrator.store.reading import Backlog, Reading
from tests.orchestrator.store.conftest import batcher_of, claim, create, execute, marks, settings_of

LONG_S = 3600.0


class Counted(Reading):
    """Counts how often the database is asked."""

    reads = 0

    async def backlog(self) -> Backlog:
        self.reads += 1
        return await super().backlog()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(settings_of(f"sqlite:///{tmp_path}/jobs.sqlite3")) as opened:
        yield opened


async def test_a_flood_of_refusals_asks_the_database_once(store: Store) -> None:
    """Until what it said is too old, or a job has ended here."""
    await create(store)
    claimed = await claim(store, "w")
    reading = Counted(store.database)
    backlog = RecentBacklog(reading, 5.0)
    for _ in range(1000):
        assert (await backlog.get(LONG_S)).jobs == 1
    assert reading.reads == 1
    batcher = batcher_of(claimed)
    for indexes, jobs, reads in (([0, 1], 1, 1), ([2], 0, 2)):
        change = marks(batcher, indexes, claimed.epoch)
        await store.committing.commit([change])
        backlog.committed(Committed((change,), time.monotonic()))
        assert (await backlog.get(LONG_S)).jobs == jobs
        assert reading.reads == reads
    await backlog.get(age_s=0.0)
    backlog.forget()
    await backlog.get(LONG_S)
    assert reading.reads == 4


async def test_the_last_speed_that_was_measured_stands(store: Store) -> None:
    """Between jobs, and where none was measured yet, the one before is the best there is."""
    backlog = RecentBacklog(store.reading, 5.0)
    await create(store)
    await backlog.get(age_s=0.0)
    assert backlog.rate == 5.0
    claimed = await claim(store, "w")
    batcher = batcher_of(claimed)
    change = marks(batcher, [0, 1], claimed.epoch)
    await store.committing.commit([replace(change, job=replace(change.job, rate=40.0, rate_error=0.1))])
    found = await backlog.get(age_s=0.0)
    assert (found.left, backlog.rate) == ((1,), 40.0)
    await execute(store, "UPDATE jobs SET rate = NULL")
    await backlog.get(age_s=0.0)
    assert backlog.rate == 40.0


def test_when_to_come_back() -> None:
    """When the first of the running jobs will have ended: a second at least, an hour at most."""
    assert next_end_s([], 5.0) == 1
    assert next_end_s([10, 300], 5.0) == 4
    assert next_end_s([0, 300], 5.0) == 1
    assert next_end_s([2000] * 5, 0.0) == MAX_RETRY_AFTER_S
    assert seconds(0, 0.0) == 0
    assert seconds(10, 4.0) == 2.5
