"""Rows that make no sense, as after damage to a file: the job that they are of fails, and no other one."""

from __future__ import annotations

import orjson
import pytest

from orchestrator.errors import UnreadableJobError
from orchestrator.jobs import Status
from orchestrator.store import Store
from tests.orchestrator.store.conftest import batcher_of, claim, create, execute, marks

# What SQLite's columns may hold whatever their type; PostgreSQL's can't.
ANYTHING = [
    ("priority", "'none'", True),
    ("total", "-1", True),
    ("batch_size", "0", True),
    ("completed", "-5", True),
    ("created_at", "'NaN'", True),
    ("started_at", "'Infinity'", True),
    ("total", "'many'", False),
    ("last_event", "x'ff'", False),
    ("completed", "1.5", False),
    ("epoch", "'first'", False),
    ("created_at", "'yesterday'", False),
    ("partial", "CAST(x'ff' AS TEXT)", False),
]


@pytest.mark.parametrize(("column", "value", "everywhere"), ANYTHING)
async def test_a_job_whose_row_makes_no_sense_fails_alone(
    stores: tuple[Store, Store], column: str, value: str, everywhere: bool
) -> None:
    """It ends with a final event, under numbers that go on, and can be read again; the others are claimed."""
    store = stores[0]
    if store.shared and not everywhere:
        pytest.skip("PostgreSQL keeps its columns' types")
    bad, good = await create(store, total=3), await create(store)
    first = await claim(store, "a")
    await store.committing.commit([marks(batcher_of(first), [0, 1], first.epoch)])
    assert first.job.id == bad.id
    await store.claims.leave("a")
    damage = f"UPDATE jobs SET {column} = {value} WHERE id = :id"  # noqa: S608
    await execute(store, damage, id=bad.id)
    await store.reading.backlog()
    found = []
    while claims := await store.claims.claim("b", max_jobs=10):
        found += claims
    if column != "partial":
        assert [one.job.id for one in found] == [good.id]
        failed = await store.reading.job(bad.id)
        assert failed is not None
        assert failed.status is Status.FAILED
        events = await store.reading.events(bad.id, 0)
        assert [number for number, _ in events] == [1, 2]
        assert orjson.loads(events[-1][1])["data"]["status"] == "failed"
    else:
        with pytest.raises(UnreadableJobError):
            await store.reading.unfinished(found[0].job)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE items SET payload = '[[0,'",
        "UPDATE items SET payload = '5'",
        "UPDATE items SET payload = '[[0, 1, 2, 3, 4]]'",
        "UPDATE items SET payload = '[[]]'",
        "UPDATE items SET payload = 'null'",
        "DELETE FROM items",
        "UPDATE events SET payload = '{}'",
        "UPDATE events SET payload = '[]'",
        "UPDATE events SET payload = '{\"data\": 5}'",
        """UPDATE events SET payload = '{"data": {"results": [{"index": "0"}]}}'""",
        """UPDATE events SET payload = '{"data": {"results": [{"index": [0]}]}}'""",
        """UPDATE events SET payload = '{"data": {"results": [{"index": 99}]}}'""",
        "UPDATE jobs SET partial = '5'",
        "UPDATE jobs SET partial = '[{}]'",
        "UPDATE jobs SET partial = '[null]'",
        "UPDATE jobs SET partial = replace(partial, '\"index\":2', '\"index\":0')",
        "UPDATE jobs SET partial = replace(partial, '\"index\":2', '\"index\":77')",
        'UPDATE jobs SET partial = replace(partial, \'"index":2\', \'"index":"2"\')',
        "UPDATE jobs SET partial = replace(partial, '\"nota\":4', '\"nota\":null')",
    ],
)
async def test_whatever_cannot_be_read_of_a_job_is_one_kind_of_error(
    stores: tuple[Store, Store], damage: str
) -> None:
    """And the job can be failed or cancelled then, without what can't be read."""
    store = stores[0]
    await create(store, total=4)
    first = await claim(store, "a")
    await store.committing.commit([marks(batcher_of(first), [0, 1, 2], first.epoch)])
    await execute(store, damage)
    job = await store.reading.job(first.job.id)
    assert job is not None
    with pytest.raises(UnreadableJobError) as caught:
        await store.reading.unfinished(job)
    assert "Resposta" not in str(caught.value)
    await store.claims.fail(job.id, first.epoch)
    failed = await store.reading.job(job.id)
    assert failed is not None
    assert failed.status is Status.FAILED
    assert [number for number, _ in await store.reading.events(job.id, 0)] == list(
        range(1, failed.last_event + 1)
    )


async def test_a_job_that_cannot_be_read_can_be_cancelled(store: Store) -> None:
    """By whoever asked for it."""
    job = await create(store)
    await execute(store, "UPDATE jobs SET priority = 'none'")
    with pytest.raises(UnreadableJobError):
        await store.reading.job(job.id)
    ended = await store.claims.request_cancel(job.id)
    assert ended is not None
    assert ended.status is Status.CANCELLED
    assert await store.reading.job(job.id) == ended
