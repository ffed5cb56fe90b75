"""A store on each of the two databases, and what tests do with one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from orchestrator.config import Settings
from orchestrator.jobs import Item, Job, Priority, Result, Status
from orchestrator.jobs.batching import Batcher
from orchestrator.store import Store, open_store
from orchestrator.store.claims import Claim
from orchestrator.store.committing import Change
from orchestrator.store.creation import Created
from orchestrator.store.fleet import Load
from orchestrator.store.payloads import payload
from orchestrator.store.posted import posted

LEASE_S = 1.0
IDLE = Load(
    places=0, in_flight=0, weight=2, wanted=99, triton_up=True, triton_loaded=True, wants_isolation=False
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database of this test's own, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/jobs.sqlite3"
    return str(request.getfixturevalue("postgres").create_database())


def settings_of(url: str, **more: Any) -> Settings:
    return Settings(**{"database_url": url, "lease_s": LEASE_S, "max_in_flight": 16, **more})


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes on one database. An SQLite file has one: there they are the same."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_store(settings_of(database_url)))
        if not first.shared:
            yield first, first
            return
        yield first, await stack.enter_async_context(open_store(settings_of(database_url)))


@pytest.fixture
def store(stores: tuple[Store, Store]) -> Store:
    return stores[0]


Create = Callable[..., Any]


async def create(store: Store, *, total: int = 3, key: str | None = None, **more: Any) -> Job:
    """A new job with so many items."""
    return (await created(store, total=total, key=key, **more)).job


async def created(
    store: Store,
    *,
    total: int = 3,
    key: str | None = None,
    room: int = 100,
    priority: Priority = Priority.NORMAL,
    created_at: float | None = None,
    batch_size: int = 2,
) -> Created:
    content = posted([Item(n, f"A{n}", "1r", "Escriu", f"Resposta {n}") for n in range(total)], priority)
    job = Job(
        id=str(uuid4()),
        status=Status.QUEUED,
        priority=priority,
        total=total,
        batch_size=batch_size,
        created_at=store.clock.now() if created_at is None else created_at,
    )
    return await store.creation.create(job, content.chunks, key, content.digest, room=room)


async def claim(store: Store, worker: str, *, max_jobs: int = 10) -> Claim:
    """The one job that there is to claim."""
    (found,) = await store.claims.claim(worker, max_jobs=max_jobs)
    return found


def batcher_of(claimed: Claim) -> Batcher:
    """A job that is worked on from now on."""
    batcher = Batcher(claimed.job)
    batcher.start(claimed.job.created_at)
    return batcher


def marks(batcher: Batcher, indexes: Sequence[int], epoch: int, **more: Any) -> Change:
    """The change that good results for these items bring about; those without a batch are kept as well."""
    events = []
    for index in indexes:
        result = Result(index, f"A{index}", 4, f"Bé {index}", None, 1)
        batcher.take(result)
        events += batcher.settle(batcher.job.created_at + 1)
    job = batcher.job
    if job.terminal:
        job = replace(job, expires_at=job.created_at + 3600)
    written = tuple((event.number, payload(event)) for event in events)
    return Change(job, epoch, written, partial=batcher.partial, **more)


async def execute(store: Store, statement: str, **values: Any) -> Any:
    """Any SQL, as somebody would do it by hand; gives the first row."""
    async with store.database.write() as connection:
        answer = await connection.execute(text(statement.replace('":', r'"\:')), values)
        return answer.first() if answer.returns_rows else None
