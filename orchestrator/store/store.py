"""What the service keeps: jobs with their items and events. Everything it says is committed."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.jobs import TERMINAL, Item, Job, Result
from orchestrator.jobs.events import results_in
from orchestrator.jobs.provenance import Provenance
from orchestrator.store import rows
from orchestrator.store.committing import Change, Rows
from orchestrator.store.database import Database
from orchestrator.store.purge import Purge
from orchestrator.store.tables import events, items, jobs, provenances

TERMINAL_WORDS = tuple(status.value for status in TERMINAL)


@dataclass(frozen=True, slots=True)
class Created:
    """A job found or made for a POST. `digest` is of the body that made it."""

    job: Job
    digest: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a job needs to go on after a restart."""

    items: list[Item]
    finished: set[int]
    loose: list[Result]
    provenance_ids: list[str]


class Store:
    """Durable jobs. Raises StoreUnavailableError when the database can't be used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.purge = Purge(database)

    async def create(self, job: Job, chunks: Sequence[bytes], key: str | None, digest: str) -> Created:
        """Writes a new job with its items; with a key that is known already, gives the first one's job."""
        try:
            async with self._database.write() as connection:
                if key is not None:  # an expired job's key is free again, even before the job is purged
                    free = update(jobs).where(jobs.c.idempotency_key == key, jobs.c.expires_at <= time.time())
                    await connection.execute(free.values(idempotency_key=None))
                values = {**rows.job_values(job), "idempotency_key": key, "body_digest": digest}
                await connection.execute(insert(jobs), values)
                for number, chunk in enumerate(chunks):
                    # One by one: of a large job's texts only these are in memory once more.
                    row = {"job_id": job.id, "chunk": number, "payload": chunk.decode()}
                    await connection.execute(insert(items), row)
        except IntegrityError:
            found = await self.by_key(key) if key is not None else None
            if found is None:
                raise
            return found
        return Created(job, digest, fresh=True)

    async def by_key(self, key: str) -> Created | None:
        """The unexpired job that was posted with this Idempotency-Key."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(jobs).where(jobs.c.idempotency_key == key))).one_or_none()
        if row is None or rows.job_from(row).expired(time.time()):
            return None
        return Created(rows.job_from(row), row.body_digest, fresh=False)

    async def commit(self, changes: Sequence[Change], *, again: bool = False) -> None:
        """Writes changes of several jobs in one transaction, in their order.

        `again`: a try before this one failed, and may have been committed all the same (a lost connection).
        """
        written = Rows.of(changes)
        async with self._database.write() as connection:
            await connection.run_sync(written.write, again)

    async def try_write(self) -> None:
        """Returns if the database can be written."""
        await self._database.try_write()

    @property
    def lost(self) -> bool:
        """Whether the database's files were deleted or replaced: nothing written now would be found again."""
        return self._database.lost() is not None

    async def job(self, job_id: str) -> Job | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one_or_none()
        return rows.job_from(row) if row is not None else None

    async def unfinished_jobs(self) -> list[Job]:
        """Jobs that have not ended, the oldest first."""
        query = (
            select(jobs).where(jobs.c.status.not_in(TERMINAL_WORDS)).order_by(jobs.c.created_at, jobs.c.id)
        )
        async with self._database.read() as connection:
            return [rows.job_from(row) for row in await connection.execute(query)]

    async def unfinished(self, job: Job) -> Unfinished:
        """A job's items in the order of sending, and what is known of their results."""
        async with self._database.read() as connection:
            content = await self._items(connection, job.id)
            done = list(await connection.scalars(select(events.c.payload).where(events.c.job_id == job.id)))
            loose = await connection.scalar(select(jobs.c.loose).where(jobs.c.id == job.id))
            origins = select(provenances.c.id).where(provenances.c.job_id == job.id)
            provenance_ids = list(await connection.scalars(origins))
        return Unfinished(
            items=content,
            finished={result["index"] for payload in done for result in results_in(payload)},
            loose=rows.loose_from(loose),
            provenance_ids=provenance_ids,
        )

    async def items(self, job_id: str) -> list[Item]:
        """A job's items in the order of the request."""
        async with self._database.read() as connection:
            return sorted(await self._items(connection, job_id), key=lambda item: item.index)

    @staticmethod
    async def _items(connection: AsyncConnection, job_id: str) -> list[Item]:
        """Chunk by chunk, so that the event loop is free between them: a job may hold 32 MiB of texts."""
        found: list[Item] = []
        numbers = select(items.c.chunk).where(items.c.job_id == job_id).order_by(items.c.chunk)
        for number in list(await connection.scalars(numbers)):
            one = select(items.c.payload).where(items.c.job_id == job_id, items.c.chunk == number)
            found += rows.items_from(await connection.scalar(one) or "[]")
        return found

    async def provenances(self, job_id: str) -> list[Provenance]:
        """Where the job's marks come from, the newest last."""
        query = (
            select(provenances.c.id, provenances.c.payload)
            .where(provenances.c.job_id == job_id)
            .order_by(provenances.c.since_event, provenances.c.id)
        )
        async with self._database.read() as connection:
            return [Provenance(id_, payload) for id_, payload in await connection.execute(query)]

    async def events(self, job_id: str, after: int, limit: int | None = None) -> list[tuple[int, bytes]]:
        """Committed events behind number `after`, in order."""
        query = (
            select(events.c.number, events.c.payload)
            .where(events.c.job_id == job_id, events.c.number > after)
            .order_by(events.c.number)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [(number, payload.encode()) for number, payload in await connection.execute(query)]

    async def events_at(self, job_id: str, numbers: Sequence[int]) -> list[bytes]:
        """The events of these numbers, in no order."""
        query = select(events.c.payload).where(events.c.job_id == job_id, events.c.number.in_(numbers))
        async with self._database.read() as connection:
            return [payload.encode() for payload in await connection.scalars(query)]


@asynccontextmanager
async def open_store(url: str, timeout_s: float) -> AsyncIterator[Store]:
    """A store that is open while the block runs."""
    database = Database(url, timeout_s)
    await database.open()
    try:
        yield Store(database)
    finally:
        await database.close()
