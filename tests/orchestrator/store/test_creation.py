"""New jobs: as many as there is room for, over all processes, and one for each Idempotency-Key."""

from __future__ import annotations

import asyncio
import time

import pytest

from orchestrator.errors import QueueFullError
from orchestrator.jobs import Job
from orchestrator.store import Store
from tests.orchestrator.store.conftest import claim, create, created, execute


async def test_two_processes_never_take_more_jobs_than_there_is_room_for(stores: tuple[Store, Store]) -> None:
    """Twenty at once on two, room for seven: seven are made, thirteen are refused."""
    tries = [create(stores[number % 2], room=7) for number in range(20)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Job) for one in found) == 7
    assert sum(isinstance(one, QueueFullError) for one in found) == 13
    assert (await stores[1].reading.backlog()).jobs == 7


async def test_one_key_at_once_on_two_processes_makes_one_job(stores: tuple[Store, Store]) -> None:
    """Whoever comes later gets the first one's, even where there is no room for more."""
    found = await asyncio.gather(*(created(stores[n % 2], key="k", room=1) for n in range(8)))
    assert len({one.job.id for one in found}) == 1
    assert sum(one.fresh for one in found) == 1
    again = await stores[1].creation.by_key("k")
    assert again is not None
    assert again.job.id == found[0].job.id


async def test_an_ended_job_makes_room(store: Store) -> None:
    """Only jobs that have not ended count."""
    job = await create(store, room=1)
    with pytest.raises(QueueFullError):
        await create(store, room=1)
    await store.claims.request_cancel(job.id)
    await create(store, room=1)


async def test_a_wall_clock_that_jumps_expires_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour on or back: keys stay known, texts stay, and times of new jobs go on as before."""
    job = await create(store, key="k")
    await store.claims.request_cancel(job.id)
    real = time.time
    for jump_s in (7200.0, -7200.0):
        monkeypatch.setattr(time, "time", lambda jump_s=jump_s: real() + jump_s)
        while await store.purge.step(store.clock.now(), 3600):
            pass
        found = await store.creation.by_key("k")
        assert found is not None
        assert not found.job.expired(store.clock.now())
        assert len(await store.reading.items(job.id)) == 3
        assert abs((await create(store)).created_at - job.created_at) < 60


async def test_the_key_of_an_expired_job_is_free_again(store: Store) -> None:
    """Before it is purged, too."""
    first = await created(store, key="k")
    await store.claims.request_cancel(first.job.id)
    await execute(store, "UPDATE jobs SET expires_at = 1")
    assert await store.creation.by_key("k") is None
    second = await created(store, key="k")
    assert second.fresh
    assert second.job.id != first.job.id


async def test_the_backlog_counts_jobs_and_items(store: Store) -> None:
    """Those in processing and those that wait, and how fast all together go."""
    await create(store, total=3)
    await create(store, total=5)
    first = await claim(store, "w")
    await execute(
        store,
        "UPDATE jobs SET status = 'processing', completed = 1, rate = 2.5 WHERE id = :id",
        id=first.job.id,
    )
    backlog = await store.reading.backlog()
    assert (backlog.queued, backlog.processing, backlog.rate) == (1, 1, 2.5)
    assert (*backlog.left, backlog.waiting_items) == (2, 5)
