"""Who works on which job: claims with a lease and an epoch, renewed by heartbeats."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.jobs import HEAD_START_S, Job, Status
from orchestrator.jobs.shares import Holder, share
from orchestrator.store import rows
from orchestrator.store.clock import Clock
from orchestrator.store.database import Database
from orchestrator.store.ending import end_job
from orchestrator.store.fleet import (
    FORGET_LEASES,
    Fleet,
    Load,
    fleet_of,
    forget_worker,
    live_workers,
    write_worker,
)
from orchestrator.store.notify import Hints, JobHint
from orchestrator.store.postgresql import CLOCK
from orchestrator.store.reading import UNREADABLE, read_job
from orchestrator.store.tables import OPEN_WORDS, TERMINAL_WORDS, jobs

CLAIMING = 0x61766C03
"""Number of PostgreSQL's advisory lock for who claims, and who shares the places."""
LEAVE_TO_OTHERS_S = 1.0
"""A new job is left to a worker that has fewer for so long."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is this worker's; what it writes counts under this epoch."""

    job: Job
    epoch: int
    cancel: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker hears with each heartbeat."""

    held: dict[str, bool]  # the jobs that are still its own, and whether a client wants them cancelled
    places: int  # that it has from now on
    settled: bool  # no places are on their way from one worker to another
    may_isolate: bool
    others_up: bool = False  # another worker reaches a Triton


class Claims:
    """The same on both databases, but that an SQLite file has one process: its claims need no lease."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        hints: Hints,
        *,
        lease_s: float,
        max_in_flight: int,
        job_ttl_s: float,
        ended: Callable[[Job], None],
    ) -> None:
        """`ended` hears of each job that ends here, and not by a worker's change."""
        self._database = database
        self._clock = clock
        self._hints = hints
        self._lease_s = lease_s
        self._max_in_flight = max_in_flight
        self._job_ttl_s = job_ttl_s
        self._ended = ended
        self._load: Load | None = None
        self._now: ColumnElement[float] = literal(0.0) if database.sqlite else text(CLOCK)  # type: ignore[assignment]
        self._held = and_(
            jobs.c.worker.is_not(None),
            or_(jobs.c.lease_until.is_(None), jobs.c.lease_until > self._now),
        )

    async def forget_all(self) -> None:
        """On opening an SQLite file: what claims it holds were of a process that has ended."""
        async with self._database.write() as connection:
            await connection.execute(update(jobs).where(jobs.c.worker.is_not(None)).values(worker=None))

    async def beat(self, worker_id: str, load: Load, working: Collection[str]) -> Beat:
        """Renews this worker's leases, and shares the places for items in flight.

        `working`: the jobs that it knows it has. A claim that it does not know of, since it gave that job up
        or never heard that it got it, is given back: nobody would work on it, and nobody else could.
        """
        forgotten = and_(_open_of(worker_id), jobs.c.id.not_in(list(working)))
        give_back = update(jobs).where(forgotten).values(worker=None, lease_until=None)
        if self._database.sqlite:
            self._load = load
            mine = select(jobs.c.id, jobs.c.cancel_requested).where(_open_of(worker_id))
            async with self._database.read() as connection:
                held = {row.id: row.cancel_requested for row in await connection.execute(mine)}
            if not held.keys() <= set(working):
                async with self._database.write() as connection:
                    await connection.execute(give_back)
                held = {job_id: cancel for job_id, cancel in held.items() if job_id in working}
            return Beat(held, self._max_in_flight, settled=True, may_isolate=load.wants_isolation)
        async with self._database.write() as connection:
            await self._lock(connection)
            now = await self._database_now(connection)
            live = await live_workers(connection, now, self._lease_s)
            others = [row for row in live if row.id != worker_id]
            shared = share(
                self._max_in_flight,
                Holder(load.weight, load.wanted, load.places),
                [Holder(other.weight, other.wanted, other.places) for other in others],
            )
            may_isolate = load.wants_isolation and not any(other.isolating for other in others)
            await forget_worker(connection, worker_id, before=now - FORGET_LEASES * self._lease_s)
            places = max(shared.places, load.in_flight)
            await write_worker(connection, worker_id, load, places=places, isolating=may_isolate, now=now)
            given_back = (await connection.execute(give_back)).rowcount
            renewed = await connection.execute(
                update(jobs)
                .where(_open_of(worker_id))
                .values(lease_until=now + self._lease_s)
                .returning(jobs.c.id, jobs.c.cancel_requested)
            )
            held = {row.id: row.cancel_requested for row in renewed}
            # Others are to give places back, or can have a job.
            if given_back or (shared.places < shared.fair and load.places == 0):
                await self._hints.tell_in(connection, work=True)
        settled = shared.places >= shared.fair and load.in_flight <= shared.places
        others_up = any(other.triton_up for other in others)
        return Beat(held, shared.places, settled, may_isolate, others_up)

    async def claim(self, worker_id: str, *, max_jobs: int, up: bool = True) -> list[Claim]:
        """Takes the job whose turn it is, if there is one and room for it among all workers' jobs.

        Those that somebody worked on before come first, then those that count as having waited the longest;
        those to be cancelled before all, and whatever the room. `up`: this worker reaches a Triton; one that
        does not leaves jobs to those that do.
        """
        async with self._database.write() as connection:
            await self._lock(connection)
            query = (
                select(jobs)
                .where(jobs.c.status.in_(OPEN_WORDS), ~self._held)
                .order_by(
                    jobs.c.cancel_requested.desc(),
                    case((jobs.c.status == Status.PROCESSING.value, 0), else_=1),
                    jobs.c.created_at - _head_start(),
                    jobs.c.id,
                )
                .limit(1)
                # A row that is locked is somebody's who is just writing it.
                .with_for_update(skip_locked=True)
            )
            if await self._full(connection, worker_id, max_jobs, up=up):
                query = query.where(jobs.c.cancel_requested)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return []
            try:
                job = rows.job_from(row)
            except UNREADABLE:  # it ends here; the others go on
                failed, hint = await self._end(connection, row, Status.FAILED)
                await self._hints.tell_in(connection, [hint], work=True)
            else:
                lease = None
                if not self._database.sqlite:
                    lease = await self._database_now(connection) + self._lease_s
                claimed = {"worker": worker_id, "epoch": row.epoch + 1, "lease_until": lease}
                await connection.execute(update(jobs).where(jobs.c.id == row.id).values(claimed))
                return [Claim(job, row.epoch + 1, row.cancel_requested)]
        self._hints.told([hint], work=True)
        self._ended(failed)
        return await self.claim(worker_id, max_jobs=max_jobs, up=up)

    async def leave(self, worker_id: str) -> None:
        """Hands over at once all that this worker has."""
        self._load = None
        async with self._database.write() as connection:
            mine = jobs.c.worker == worker_id
            await connection.execute(update(jobs).where(mine).values(worker=None, lease_until=None))
            await forget_worker(connection, worker_id)
            await self._hints.tell_in(connection, work=True)

    async def request_cancel(self, job_id: str) -> Job | None:
        """Ends a job that nobody works on; has its worker end it otherwise. Gives it as it then stands.

        Raises UnreadableJobError where somebody works on a job whose row makes no sense.
        """
        hints: list[JobHint] = []
        async with self._database.write() as connection:
            row = await self._locked(connection, job_id)
            if row is None:
                return None
            if row.status in TERMINAL_WORDS:
                return read_job(row)
            if row.held:
                marked = update(jobs).where(jobs.c.id == job_id).values(cancel_requested=True)
                await connection.execute(marked)
                job = read_job(row)
            else:
                job, hint = await self._end(connection, row, Status.CANCELLED)
                hints.append(hint)
            await self._hints.tell_in(connection, hints, work=True)
        self._hints.told(hints, work=True)
        if hints:
            self._ended(job)
        return job

    async def fail(self, job_id: str, epoch: int) -> None:
        """Ends a job that can't go on. Nothing happens if it is no longer this claim's."""
        async with self._database.write() as connection:
            row = await self._locked(connection, job_id)
            if row is None or row.status in TERMINAL_WORDS or row.epoch != epoch:
                return
            failed, hint = await self._end(connection, row, Status.FAILED)
            await self._hints.tell_in(connection, [hint], work=True)
        self._hints.told([hint], work=True)
        self._ended(failed)

    async def fleet(self) -> Fleet:
        """The workers on this database."""
        if self._database.sqlite:
            load = self._load
            if load is None:
                return Fleet()
            return Fleet(1, load.triton_up, load.triton_loaded, load.in_flight)
        async with self._database.read() as connection:
            now = await self._database_now(connection)
            return fleet_of(await live_workers(connection, now, self._lease_s))

    async def _full(self, connection: AsyncConnection, worker_id: str, max_jobs: int, *, up: bool) -> bool:
        """Whether this worker may take no further job: there are enough, or another one should have it."""
        held = select(jobs.c.worker, func.count()).where(jobs.c.status.in_(OPEN_WORDS), self._held)
        counts: dict[str, int] = {
            row[0]: row[1] for row in await connection.execute(held.group_by(jobs.c.worker))
        }
        if sum(counts.values()) >= max_jobs:
            return True
        if self._database.sqlite:
            return False
        now = await self._database_now(connection)
        able = [
            row.id
            for row in await live_workers(connection, now, self._lease_s)
            if row.id != worker_id and row.triton_up
        ]
        if able and not up:
            return True
        fewest = min((counts.get(other, 0) for other in able), default=counts.get(worker_id, 0))
        if counts.get(worker_id, 0) <= fewest:
            return False
        waiting = select(func.min(jobs.c.created_at)).where(jobs.c.status.in_(OPEN_WORDS), ~self._held)
        oldest = await connection.scalar(waiting)
        return oldest is not None and self._clock.now() - oldest < LEAVE_TO_OTHERS_S

    async def _locked(self, connection: AsyncConnection, job_id: str) -> Row[Any] | None:
        query = select(jobs, self._held.label("held")).where(jobs.c.id == job_id).with_for_update()
        return (await connection.execute(query)).one_or_none()

    async def _end(self, connection: AsyncConnection, row: Row[Any], status: Status) -> tuple[Job, JobHint]:
        return await end_job(connection, row, status, now=self._clock.now(), ttl_s=self._job_ttl_s)

    async def _lock(self, connection: AsyncConnection) -> None:
        if not self._database.sqlite:
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({CLAIMING})"))

    @staticmethod
    async def _database_now(connection: AsyncConnection) -> float:
        return float((await connection.execute(text(f"SELECT {CLOCK}"))).scalar_one())


def _open_of(worker_id: str) -> ColumnElement[bool]:
    return and_(jobs.c.worker == worker_id, jobs.c.status.in_(OPEN_WORDS))


def _head_start() -> ColumnElement[float]:
    return case(
        *((jobs.c.priority == priority.value, seconds) for priority, seconds in HEAD_START_S.items()),
        else_=0.0,
    )
