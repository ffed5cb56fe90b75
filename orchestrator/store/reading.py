"""What is stored, read back. Everything it says is committed."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import AvaluaError, StoreUnavailableError, UnreadableJobError
from orchestrator.jobs import Item, Job, Result, Status
from orchestrator.jobs.batching import Batcher
from orchestrator.jobs.provenance import Provenance
from orchestrator.store import rows
from orchestrator.store.database import Database
from orchestrator.store.notify import JobHint
from orchestrator.store.payloads import results_in
from orchestrator.store.tables import OPEN_WORDS, TERMINAL_WORDS, events, items, jobs, provenances

# What reading a row that makes no sense may raise.
UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, AvaluaError)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a job needs to go on, whoever worked on it before."""

    items: list[Item]
    finished: set[int]
    partial: list[Result]
    provenance_ids: list[str]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Jobs that have not ended, over all processes."""

    queued: int = 0
    processing: int = 0
    left: tuple[int, ...] = ()  # for each in processing, items without a result
    waiting_items: int = 0  # of those that are queued
    rate: float | None = None  # items a second, all together; None: not measured

    @property
    def jobs(self) -> int:
        return self.queued + self.processing


@contextmanager
def _readable() -> Iterator[None]:
    """Raises UnreadableJobError for what a row raises that makes no sense. It quotes nothing of it."""
    try:
        yield
    except StoreUnavailableError:
        raise
    except UNREADABLE as error:
        raise UnreadableJobError(
            f"what is stored of the job makes no sense: {type(error).__name__}"
        ) from error


def read_job(row: Row[Any]) -> Job:
    """The job of a row. Raises UnreadableJobError."""
    with _readable():
        return rows.job_from(row)


class Reading:
    """Raises StoreUnavailableError when the database can't be used, UnreadableJobError for damaged rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def job(self, job_id: str) -> Job | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one_or_none()
        return read_job(row) if row is not None else None

    async def heads(self, job_ids: Collection[str]) -> list[JobHint]:
        """How far these jobs are. One that is not there, or whose row makes no sense, is left out."""
        query = select(jobs.c.id, jobs.c.last_event, jobs.c.status).where(jobs.c.id.in_(job_ids))
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
        return [
            JobHint(row.id, row.last_event, row.status in TERMINAL_WORDS)
            for row in found
            if rows.is_count(row.last_event)
        ]

    async def backlog(self) -> Backlog:
        # Counted by the database, which makes a number of whatever stands in a damaged row.
        left = jobs.c.total - jobs.c.completed
        query = select(jobs.c.status, left.label("left"), jobs.c.rate).where(jobs.c.status.in_(OPEN_WORDS))
        async with self._database.read() as connection:
            found = (await connection.execute(query)).all()
        processing = [row for row in found if row.status == Status.PROCESSING.value]
        queued = [row for row in found if row.status == Status.QUEUED.value]
        rates = [row.rate for row in processing if isinstance(row.rate, float) and row.rate > 0]
        return Backlog(
            queued=len(queued),
            processing=len(processing),
            left=tuple(max(0, row.left) for row in processing),
            waiting_items=sum(max(0, row.left) for row in queued),
            rate=sum(rates) if rates else None,
        )

    async def unfinished(self, job: Job) -> Unfinished:
        """A job's items in the order of sending, and what is known of their results.

        Raises UnreadableJobError where what is stored makes no sense.
        """
        with _readable():
            found = await self._unfinished(job)
            if {item.index for item in found.items} != set(range(job.total)):
                raise ValueError("items are missing")
            if not found.finished <= set(range(job.total)) or len(found.finished) != job.completed:
                raise ValueError("results are missing or of no item")
            # A result that comes twice, or is of no item, is found here, not by who goes on with the job.
            Batcher(job, found.finished, found.partial)
        return found

    async def _unfinished(self, job: Job) -> Unfinished:
        async with self._database.read() as connection:
            content = await self._items(connection, job.id)
            done = list(await connection.scalars(select(events.c.payload).where(events.c.job_id == job.id)))
            partial = await connection.scalar(select(jobs.c.partial).where(jobs.c.id == job.id))
            origins = select(provenances.c.id).where(provenances.c.job_id == job.id)
            provenance_ids = list(await connection.scalars(origins))
        return Unfinished(
            items=content,
            finished={result["index"] for payload in done for result in results_in(payload)},
            partial=rows.partial_from(partial),
            provenance_ids=provenance_ids,
        )

    async def items(self, job_id: str) -> list[Item]:
        """A job's items in the order of the request."""
        with _readable():
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
        with _readable():
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
        with _readable():
            async with self._database.read() as connection:
                found = [(number, payload.encode()) for number, payload in await connection.execute(query)]
            if not all(rows.is_count(number) for number, _ in found):
                raise ValueError("a number is none")
        return found

    async def events_at(self, job_id: str, numbers: Sequence[int]) -> list[bytes]:
        """The events of these numbers, in no order."""
        query = select(events.c.payload).where(events.c.job_id == job_id, events.c.number.in_(numbers))
        with _readable():
            async with self._database.read() as connection:
                return [payload.encode() for payload in await connection.scalars(query)]
