"""New jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import QueueFullError
from orchestrator.jobs import Job
from orchestrator.store import rows
from orchestrator.store.clock import Clock
from orchestrator.store.database import Database
from orchestrator.store.notify import Hints, JobHint
from orchestrator.store.reading import read_job
from orchestrator.store.tables import OPEN_WORDS, items, jobs

CREATING = 0x61766C02
"""Number of PostgreSQL's advisory lock for who counts jobs and adds one."""


@dataclass(frozen=True, slots=True)
class Created:
    """A job found or made for a POST. `digest` is of the body that made it."""

    job: Job
    digest: str
    fresh: bool


class Creation:
    """Makes jobs durable. Raises StoreUnavailableError when the database can't be used."""

    def __init__(self, database: Database, clock: Clock, hints: Hints) -> None:
        self._database = database
        self._clock = clock
        self._hints = hints

    async def create(
        self, job: Job, chunks: Sequence[bytes], key: str | None, digest: str, *, room: int
    ) -> Created:
        """Writes a new job with its items; with a key that is known already, gives the first one's job.

        Raises QueueFullError where as many jobs as there is room for have not ended yet, over all processes.
        """
        async with self._database.write() as connection:
            if not self._database.sqlite:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({CREATING})"))
            if key is not None:
                if (found := await self._of_key(connection, key)) is not None:
                    return found
                # An expired job's key is free again, even before the job is purged.
                free = update(jobs).where(jobs.c.idempotency_key == key).values(idempotency_key=None)
                await connection.execute(free)
            count = select(func.count()).where(jobs.c.status.in_(OPEN_WORDS))
            if (await connection.execute(count)).scalar_one() >= room:
                raise QueueFullError(1)
            values = {**rows.job_values(job), "idempotency_key": key, "body_digest": digest}
            await connection.execute(insert(jobs), values)
            for number, chunk in enumerate(chunks):
                # One by one: of a large job's texts only these are in memory once more.
                row = {"job_id": job.id, "chunk": number, "payload": chunk.decode()}
                await connection.execute(insert(items), row)
            hint = JobHint(job.id, job.last_event, terminal=False)
            await self._hints.tell_in(connection, [hint], work=True)
        self._hints.told([hint], work=True)
        return Created(job, digest, fresh=True)

    async def by_key(self, key: str) -> Created | None:
        """The unexpired job that was posted with this Idempotency-Key."""
        async with self._database.read() as connection:
            return await self._of_key(connection, key)

    async def _of_key(self, connection: AsyncConnection, key: str) -> Created | None:
        row = (await connection.execute(select(jobs).where(jobs.c.idempotency_key == key))).one_or_none()
        if row is None:
            return None
        job = read_job(row)
        return Created(job, row.body_digest, fresh=False) if not job.expired(self._clock.now()) else None
