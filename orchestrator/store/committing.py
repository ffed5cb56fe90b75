"""Writes what a worker yields: one transaction, which somebody who no longer has a job can't get through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from orchestrator.errors import StaleEpochError, StoreUnavailableError
from orchestrator.jobs import Job, Result
from orchestrator.jobs.provenance import Provenance
from orchestrator.store import rows
from orchestrator.store.database import Database
from orchestrator.store.notify import Hints, JobHint
from orchestrator.store.tables import OPEN_WORDS, TERMINAL_WORDS, events, jobs, provenances

# What a worker changes of a job; the rest stands since it was made.
_CHANGED = (
    *("status", "completed", "failed_items", "last_event", "started_at", "finished_at", "expires_at"),
    *("rate", "rate_error", "partial"),
)
_UPDATE_JOB = (
    update(jobs)
    .where(jobs.c.id == bindparam("id_"), jobs.c.epoch == bindparam("epoch_"))
    .where(or_(*(jobs.c.status == word for word in OPEN_WORDS)))
    .values({name: bindparam(f"{name}_") for name in _CHANGED})
)
_DELETE_EVENT = delete(events).where(
    events.c.job_id == bindparam("job_id_"), events.c.number == bindparam("number_")
)
_DELETE_PROVENANCE = delete(provenances).where(
    provenances.c.job_id == bindparam("job_id_"), provenances.c.id == bindparam("id_")
)


@dataclass(frozen=True, slots=True)
class Change:
    """A job as it shall stand, with the events that brought it there: one transaction."""

    job: Job
    epoch: int  # of the claim under which it was made
    events: tuple[tuple[int, bytes], ...] = ()
    partial: tuple[Result, ...] = ()  # of a batch that is not full, to be kept for who claims the job next
    provenances: tuple[Provenance, ...] = ()  # those that no earlier change of the job brought


@dataclass(frozen=True, slots=True)
class Committed:
    """Changes that are on disk, in order; `at` is by the monotonic clock."""

    changes: tuple[Change, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of some changes, which may be of several jobs."""

    events: list[dict[str, Any]]
    provenances: list[dict[str, Any]]
    jobs: list[dict[str, Any]]

    @classmethod
    def of(cls, changes: Sequence[Change]) -> "Rows":
        last = {change.job.id: change for change in changes}
        return cls(
            events=[
                {"job_id": change.job.id, "number": number, "payload": payload.decode()}
                for change in changes
                for number, payload in change.events
            ],
            provenances=[
                {
                    "job_id": change.job.id,
                    "id": origin.id,
                    "since_event": change.job.last_event,
                    "payload": origin.payload,
                }
                for change in changes
                for origin in change.provenances
            ],
            jobs=[_job_row(change) for change in last.values()],
        )

    def write_jobs(self, connection: Connection) -> int:
        """Gives how many rows were open, and this epoch's, where the driver counts them: on SQLite."""
        return connection.execute(_UPDATE_JOB, self.jobs).rowcount

    def write_events(self, connection: Connection, *, again: bool) -> None:
        """And where the marks come from. `again`: it may have been written before."""
        for table, wanted, forget, key in (
            (events, self.events, _DELETE_EVENT, "number"),
            (provenances, self.provenances, _DELETE_PROVENANCE, "id"),
        ):
            if wanted and again:
                keys = [{"job_id_": row["job_id"], f"{key}_": row[key]} for row in wanted]
                connection.execute(forget, keys)
            if wanted:
                connection.execute(insert(table), wanted)


def _job_row(change: Change) -> dict[str, Any]:
    values = {**rows.job_values(change.job), "partial": rows.partial_text(change.partial)}
    changed = {f"{name}_": values[name] for name in _CHANGED}
    return {"id_": change.job.id, "epoch_": change.epoch, **changed}


class _Doubtful(Exception):
    """Some row is not as it should be."""


class Committing:
    """Commits changes under their epochs."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints
        self._unsure = False  # the last try failed, and may have been committed all the same

    async def commit(self, changes: Sequence[Change]) -> None:
        """Writes changes of several jobs in one transaction, in their order.

        Raises StaleEpochError with the claims that count no longer: somebody else has the job since, or it
        has ended. ContentRefusedError; StoreUnavailableError. Nothing is written then.
        """
        written = Rows.of(changes)
        hints = [
            JobHint(row["id_"], row["last_event_"], row["status_"] in TERMINAL_WORDS) for row in written.jobs
        ]
        # A file has one writer, which need not look before it writes: the update itself tells.
        looks = not self._database.sqlite or self._unsure or len(_claims(changes)) > len(written.jobs)
        try:
            try:
                await self._commit(changes, written, hints, looks=looks)
            except _Doubtful:
                await self._commit(changes, written, hints, looks=True)
        except StoreUnavailableError:
            self._unsure = True
            raise
        self._unsure = False
        self._hints.told(hints)

    async def _commit(
        self, changes: Sequence[Change], written: Rows, hints: Sequence[JobHint], *, looks: bool
    ) -> None:
        async with self._database.write() as connection:
            # All of it in one greenlet instead of one a statement.
            await connection.run_sync(self._write, changes, written, looks)
            await self._hints.tell_in(connection, hints, work=any(hint.terminal for hint in hints))

    def _write(self, connection: Connection, changes: Sequence[Change], written: Rows, looks: bool) -> None:
        if looks:
            self._check_epochs(connection, changes)
        if written.write_jobs(connection) != len(written.jobs) and not looks:
            raise _Doubtful
        written.write_events(connection, again=self._unsure)

    def _check_epochs(self, connection: Connection, changes: Sequence[Change]) -> None:
        last = {change.job.id: change.job for change in changes}
        found = connection.execute(
            select(jobs.c.id, jobs.c.epoch, jobs.c.status, jobs.c.last_event)
            .where(jobs.c.id.in_(sorted(last)))
            .order_by(jobs.c.id)  # two who want the same rows must not wait for each other
            .with_for_update()
        )
        fresh = {
            (row.id, row.epoch)
            for row in found
            if row.status not in TERMINAL_WORDS or self._was_written(row, last[row.id])
        }
        if stale := _claims(changes) - fresh:
            raise StaleEpochError(stale)

    def _was_written(self, row: Any, job: Job) -> bool:
        """By the last try, whose success got lost."""
        return self._unsure and row.status == job.status.value and row.last_event == job.last_event


def _claims(changes: Sequence[Change]) -> frozenset[tuple[str, int]]:
    return frozenset((change.job.id, change.epoch) for change in changes)
