"""What a worker yields is written in one transaction, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.errors import ContentRefusedError, StaleEpochError
from orchestrator.jobs import Job, Status
from orchestrator.jobs.provenance import Provenance
from orchestrator.store import Store
from tests.orchestrator.store.conftest import batcher_of, claim, create, execute, marks

ORIGIN = Provenance("0123456789abcdef", '{"model": "m"}')


async def test_a_job_goes_from_worker_to_worker_without_losing_a_result(stores: tuple[Store, Store]) -> None:
    """Batches, results without one, and where they come from: all is there for who claims it next."""
    await create(stores[0], total=5)
    first = await claim(stores[0], "a")
    batcher = batcher_of(first)
    await stores[0].committing.commit([marks(batcher, [3, 1, 0], first.epoch, provenances=(ORIGIN,))])
    await stores[0].claims.leave("a")
    second = await claim(stores[1], "b")
    assert second.job == batcher.job
    unfinished = await stores[1].reading.unfinished(second.job)
    assert unfinished.finished == {3, 1}
    assert [one.index for one in unfinished.partial] == [0]
    assert unfinished.partial == list(batcher.partial)
    assert unfinished.provenance_ids == [ORIGIN.id]
    assert [item.index for item in unfinished.items] == [0, 1, 2, 3, 4]
    assert await stores[1].reading.provenances(second.job.id) == [ORIGIN]


async def test_several_changes_of_several_jobs_are_one_transaction(stores: tuple[Store, Store]) -> None:
    """And in their order: the last one of a job is how it stands."""
    for _ in range(2):
        await create(stores[0], total=4)
    claims = [await claim(stores[0], "a") for _ in range(2)]
    batchers = [batcher_of(one) for one in claims]
    changes = [
        marks(batcher, indexes, one.epoch)
        for indexes in ([0, 1], [2, 3])
        for batcher, one in zip(batchers, claims, strict=True)
    ]
    await stores[0].committing.commit(changes)
    for one in claims:
        job = await stores[1].reading.job(one.job.id)
        assert job is not None
        assert (job.status, job.completed, job.last_event) == (Status.COMPLETED, 4, 3)
        assert [number for number, _ in await stores[1].reading.events(job.id, 0)] == [1, 2, 3]


async def test_one_stale_job_in_a_group_keeps_all_of_it_from_being_written(
    stores: tuple[Store, Store],
) -> None:
    """The others can be written then, without it."""
    for _ in range(2):
        await create(stores[0])
    good, lost = [await claim(stores[0], "a") for _ in range(2)]
    changes = [marks(batcher_of(one), [0, 1], one.epoch) for one in (good, lost)]
    await execute(stores[0], "UPDATE jobs SET epoch = epoch + 1 WHERE id = :id", id=lost.job.id)
    with pytest.raises(StaleEpochError) as caught:
        await stores[0].committing.commit(changes)
    assert caught.value.job_ids == {lost.job.id}
    assert await stores[0].reading.events(good.job.id, 0) == []
    await stores[0].committing.commit(changes[:1])
    assert len(await stores[0].reading.events(good.job.id, 0)) == 1


async def test_nothing_is_written_into_a_job_that_has_ended_or_is_gone(store: Store) -> None:
    """Whatever the epoch."""
    await create(store)
    one = await claim(store, "a")
    change = marks(batcher_of(one), [0, 1, 2], one.epoch)
    await store.committing.commit([change])
    with pytest.raises(StaleEpochError):
        await store.committing.commit([change])
    unknown = replace(change, job=replace(change.job, id="00000000-0000-4000-8000-000000000000"))
    with pytest.raises(StaleEpochError):
        await store.committing.commit([unknown])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("completed", 1 << 70),  # no column holds it
        ("status", "\ud800"),  # half a character
        ("last_event", None),  # may not be missing
    ],
)
async def test_content_that_the_database_refuses_is_told_from_a_database_that_is_away(
    store: Store, field: str, value: object
) -> None:
    """Nothing of the group is written, the error quotes nothing, and the rest can be written."""
    for _ in range(2):
        await create(store)
    good, bad = [await claim(store, "a") for _ in range(2)]
    changes = [marks(batcher_of(one), [0, 1], one.epoch) for one in (good, bad)]
    job: Job = changes[1].job
    object.__setattr__(job, field, _Word(value) if field == "status" else value)
    with pytest.raises(ContentRefusedError) as caught:
        await store.committing.commit(changes)
    assert str(1 << 70) not in str(caught.value)
    assert await store.reading.events(good.job.id, 0) == []
    await store.committing.commit(changes[:1])
    await store.claims.fail(bad.job.id, bad.epoch)
    failed = await store.reading.job(bad.job.id)
    assert failed is not None
    assert failed.status is Status.FAILED


class _Word:
    """Stands for a status."""

    def __init__(self, value: object) -> None:
        self.value = value


async def test_an_event_that_stands_there_already_is_refused(store: Store) -> None:
    """Numbers are given once: a second event with one would be lost to somebody."""
    await create(store)
    one = await claim(store, "a")
    change = marks(batcher_of(one), [0, 1], one.epoch)
    await store.committing.commit([change])
    with pytest.raises(ContentRefusedError):
        await store.committing.commit([change])


async def test_a_group_may_hold_changes_of_two_claims_of_one_job(stores: tuple[Store, Store]) -> None:
    """A worker lost a job and claimed it again: only what it made since counts."""
    await create(stores[0])
    first = await claim(stores[0], "a")
    stale = marks(batcher_of(first), [0, 1], first.epoch)
    await stores[0].claims.leave("a")
    second = await claim(stores[1], "a")
    change = marks(batcher_of(second), [2, 1], second.epoch)
    with pytest.raises(StaleEpochError) as caught:
        await stores[1].committing.commit([stale, change])
    assert caught.value.claims == {(first.job.id, first.epoch)}
    await stores[1].committing.commit([change])
    unfinished = await stores[1].reading.unfinished(change.job)
    assert unfinished.finished == {1, 2}
