"""Who works on which job: claims, leases, epochs, and what becomes of a job that nobody works on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest

from orchestrator.errors import StaleEpochError
from orchestrator.jobs import Priority, Status
from orchestrator.store import Store, open_store
from tests.orchestrator.store.conftest import (
    IDLE,
    batcher_of,
    claim,
    create,
    execute,
    marks,
    settings_of,
)

LAPSE = "UPDATE jobs SET lease_until = -1, worker = 'gone' WHERE id = :id"


async def claim_all(store: Store, worker: str) -> list[str]:
    found: list[str] = []
    while claims := await store.claims.claim(worker, max_jobs=100):
        found += (one.job.id for one in claims)
    return found


async def test_two_workers_never_have_the_same_job(stores: tuple[Store, Store]) -> None:
    """Both claim as fast as they can: each job is claimed once."""
    wanted = {(await create(stores[0])).id for _ in range(12)}
    halves = await asyncio.gather(claim_all(stores[0], "a"), claim_all(stores[1], "b"))
    found = [job_id for half in halves for job_id in half]
    assert len(found) == len(set(found))
    assert set(found) == wanted


async def test_no_more_jobs_are_claimed_than_may_run(stores: tuple[Store, Store]) -> None:
    """Over all workers."""
    for _ in range(4):
        await create(stores[0])
    await claim(stores[0], "a", max_jobs=2)
    await claim(stores[1], "b", max_jobs=2)
    assert await stores[0].claims.claim("a", max_jobs=2) == []


async def test_jobs_are_claimed_in_turn(store: Store) -> None:
    """Those that ran before, then by arrival and head start."""
    now = store.clock.now()
    normal = await create(store, created_at=now - 100)
    ran = await create(store, created_at=now)
    interactive = await create(store, created_at=now, priority=Priority.INTERACTIVE)
    await execute(store, "UPDATE jobs SET status = 'processing', started_at = 1.0 WHERE id = :id", id=ran.id)
    assert await claim_all(store, "w") == [ran.id, interactive.id, normal.id]


async def test_a_released_job_is_taken_over_at_once(stores: tuple[Store, Store]) -> None:
    """With the next epoch; the lease need not be waited for."""
    await create(stores[0])
    first = await claim(stores[0], "a")
    await stores[0].claims.leave("a")
    second = await claim(stores[1], "b")
    assert (second.job.id, second.epoch) == (first.job.id, first.epoch + 1)


async def test_a_lapsed_lease_is_taken_over_and_its_holder_writes_nothing(
    stores: tuple[Store, Store],
) -> None:
    """A worker that was stopped for longer than its lease comes back to another epoch."""
    await create(stores[0])
    first = await claim(stores[0], "a")
    stale = batcher_of(first)
    await execute(stores[0], LAPSE, id=first.job.id)
    second = await claim(stores[1], "b")
    assert second.epoch == first.epoch + 1
    with pytest.raises(StaleEpochError) as caught:
        await stores[0].committing.commit([marks(stale, [0, 1], first.epoch)])
    assert caught.value.job_ids == {first.job.id}
    assert await stores[1].reading.events(first.job.id, 0) == []
    assert await stores[0].reading.job(first.job.id) == first.job
    beat = await stores[0].claims.beat("a", IDLE, [first.job.id])
    assert beat.held == {}


async def test_a_heartbeat_keeps_a_claim(stores: tuple[Store, Store]) -> None:
    """And says which jobs are still one's own, and which are to be cancelled."""
    job = await create(stores[0])
    claimed = await claim(stores[0], "a")
    await stores[0].claims.beat("a", IDLE, [job.id])
    assert await stores[1].claims.claim("b", max_jobs=10) == []
    asked = await stores[1].claims.request_cancel(job.id)
    assert asked is not None
    assert asked.status is Status.QUEUED
    beat = await stores[0].claims.beat("a", IDLE, [job.id])
    assert beat.held == {claimed.job.id: True}


async def test_a_claim_that_its_worker_does_not_know_is_given_back(stores: tuple[Store, Store]) -> None:
    """Of a job that it gave up, or never heard that it got: else it would be nobody's for ever."""
    await create(stores[0])
    first = await claim(stores[0], "a")
    beat = await stores[0].claims.beat("a", IDLE, ["another job"])
    assert beat.held == {}
    second = await claim(stores[1], "b")
    assert (second.job.id, second.epoch) == (first.job.id, first.epoch + 1)


async def test_the_places_of_all_workers_are_never_more_than_there_are(stores: tuple[Store, Store]) -> None:
    """A second worker gets its half only once the first one has given it back."""
    first = await stores[0].claims.beat("a", IDLE, ())
    assert first.places == 16 or not stores[0].shared
    if not stores[0].shared:
        return
    second = await stores[1].claims.beat("b", IDLE, ())
    assert (second.places, second.settled) == (1, False)
    first = await stores[0].claims.beat("a", replace(IDLE, places=16, in_flight=16), ())
    assert first.places == 8
    assert not first.settled
    assert (await stores[1].claims.beat("b", replace(IDLE, places=1), ())).places == 1
    await stores[0].claims.beat("a", replace(IDLE, places=8, in_flight=8), ())
    assert (await stores[1].claims.beat("b", replace(IDLE, places=1), ())).places == 8


async def test_one_worker_at_a_time_isolates(stores: tuple[Store, Store]) -> None:
    """The next one may when the first is done, or has not been heard of for a lease."""
    wants = replace(IDLE, wants_isolation=True)
    assert (await stores[0].claims.beat("a", wants, ())).may_isolate
    if not stores[0].shared:
        return
    assert not (await stores[1].claims.beat("b", wants, ())).may_isolate
    assert (await stores[0].claims.beat("a", wants, ())).may_isolate
    await execute(stores[0], "UPDATE workers SET beat_at = 1 WHERE id = 'a'")
    assert (await stores[1].claims.beat("b", wants, ())).may_isolate


async def test_all_processes_know_of_all_workers(stores: tuple[Store, Store]) -> None:
    """Those that have been heard of within a lease."""
    assert (await stores[1].claims.fleet()).workers == 0
    await stores[0].claims.beat("a", replace(IDLE, in_flight=5), ())
    fleet = await stores[1].claims.fleet()
    assert (fleet.workers, fleet.triton_up, fleet.triton_loaded, fleet.in_flight) == (1, True, True, 5)
    await stores[0].claims.leave("a")
    assert (await stores[1].claims.fleet()).workers == 0


async def test_cancelling_a_job_that_nobody_has_keeps_what_was_finished(
    stores: tuple[Store, Store],
) -> None:
    """Results without a batch become its last one; asked twice at once, the answer is the same."""
    await create(stores[0], total=5)
    claimed = await claim(stores[0], "a")
    await stores[0].committing.commit([marks(batcher_of(claimed), [4, 0, 2], claimed.epoch)])
    await stores[0].claims.leave("a")
    ended = await asyncio.gather(*(each.claims.request_cancel(claimed.job.id) for each in stores))
    assert ended[0] == ended[1]
    job = ended[0]
    assert job is not None
    assert (job.status, job.completed, job.last_event) == (Status.CANCELLED, 3, 3)
    assert job.finished_at is not None
    stored = [orjson.loads(data) for _, data in await stores[1].reading.events(job.id, 0)]
    assert [[one["index"] for one in event["data"].get("results", [])] for event in stored] == [
        [4, 0],
        [2],
        [],
    ]
    assert stored[-1]["data"]["status"] == "cancelled"
    assert stored[-1]["data"]["total_processed"] == 3
    assert await stores[1].claims.claim("b", max_jobs=10) == []


async def test_a_job_whose_worker_is_gone_is_cancelled_by_who_asks(stores: tuple[Store, Store]) -> None:
    """The lease has lapsed, so nobody else will."""
    await create(stores[0])
    claimed = await claim(stores[0], "a")
    await execute(stores[0], LAPSE, id=claimed.job.id)
    job = await stores[1].claims.request_cancel(claimed.job.id)
    assert job is not None
    assert job.status is Status.CANCELLED
    with pytest.raises(StaleEpochError):
        await stores[0].committing.commit([marks(batcher_of(claimed), [0, 1], claimed.epoch)])


async def test_a_job_to_be_cancelled_is_claimed_whatever_the_room(stores: tuple[Store, Store]) -> None:
    """Its worker was asked, and ended before it did anything."""
    await create(stores[0])
    claimed = await claim(stores[0], "a")
    await stores[1].claims.request_cancel(claimed.job.id)
    await execute(stores[0], LAPSE, id=claimed.job.id)
    second = await claim(stores[1], "b", max_jobs=0)
    assert (second.job.id, second.cancel) == (claimed.job.id, True)


async def test_an_unknown_job_is_not_cancelled(store: Store) -> None:
    """There is nothing to say of it."""
    assert await store.claims.request_cancel("00000000-0000-4000-8000-000000000000") is None


async def test_a_failed_job_is_only_failed_by_who_has_it(store: Store) -> None:
    """Under an old epoch nothing happens."""
    job = await create(store)
    claimed = await claim(store, "a")
    await store.claims.fail(job.id, claimed.epoch - 1)
    assert (await store.reading.job(job.id)) == job
    await store.claims.fail(job.id, claimed.epoch)
    failed = await store.reading.job(job.id)
    assert failed is not None
    assert failed.status is Status.FAILED
    assert failed.expires_at is not None


async def test_claims_of_a_process_that_has_ended_are_void(database_url: str) -> None:
    """A file's claims at once, with the next start; a shared database's when the lease is over."""
    async with open_store(settings_of(database_url)) as store:
        await create(store)
        first = await claim(store, "a")
    async with open_store(settings_of(database_url)) as store:
        if store.shared:
            await execute(store, LAPSE, id=first.job.id)
        assert (await claim(store, "b")).epoch == first.epoch + 1
