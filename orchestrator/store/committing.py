"""Writes what a worker yields: one transaction, which somebody who no longer has a job can't get through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from orchestrator.errors import StaleEpochError, StoreUnavailableError
from orchestrator.jobs import Job, Result
from orchestrator.jobs.provenance import Provenance
from orchestrator.store import rows
from orchestrator.store.database import Database
from orchestrator.store.notify import Hints, JobHint
from orchestrator.store.tables import TERMINAL_WORDS, events, jobs, provenances

_UPDATE_JOB = (
    update(jobs)
    .where(jobs.c.id == bindparam("id_"))
    .values({name: bindparam(name) for name in ("status", "completed", "failed_items", "last_event")})
    .values({name: bindparam(name) for name in ("started_at", "finished_at", "expires_at", "partial")})
    .values({name: bindparam(name) for name in ("rate", "rate_error")})
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
            jobs=[
                {
                    **rows.job_values(change.job),
                    "id_": change.job.id,
                    "partial": rows.partial_text(change.partial),
                }
                for change in last.values()
            ],
        )

    def write(self, connection: Connection, again: bool) -> None:
        """All of it, in one greenlet instead of one a statement. `again`: it may have been written before."""
        for table, wanted, forget, key in (
            (events, self.events, _DELETE_EVENT, "number"),
            (provenances, self.provenances, _DELETE_PROVENANCE, "id"),
        ):
            if wanted and again:
                keys = [{"job_id_": row["job_id"], f"{key}_": row[key]} for row in wanted]
                connection.execute(forget, keys)
            if wanted:
                connection.execute(insert(table), wanted)
        connection.execute(_UPDATE_JOB, self.jobs)


class Committing:
    """Commits changes under their epochs."""

    def __init__(self, database: Database, hints: Hints) -> None:
        self._database = database
        self._hints = hints
        self._unsure = False  # the last try failed, and may have been committed all the same

    async def commit(self, changes: Sequence[Change]) -> None:
        """Writes changes of several jobs in one transaction, in their order.

        Raises StaleEpochError with the jobs that somebody else has claimed since, or that have ended;
        ContentRefusedError; StoreUnavailableError. Nothing is written then.
        """
        written = Rows.of(changes)
        hints = [
            JobHint(row["id"], row["last_event"], row["status"] in TERMINAL_WORDS) for row in written.jobs
        ]
        try:
            async with self._database.write() as connection:
                await connection.run_sync(self._write, changes, written)
                await self._hints.tell_in(connection, hints, work=any(hint.terminal for hint in hints))
        except StoreUnavailableError:
            self._unsure = True
            raise
        self._unsure = False
        self._hints.told(hints)

    def _write(self, connection: Connection, changes: Sequence[Change], written: Rows) -> None:
        """All of it, in one greenlet instead of one a statement."""
        self._check_epochs(connection, changes)
        written.write(connection, self._unsure)

    def _check_epochs(self, connection: Connection, changes: Sequence[Change]) -> None:
        last = {change.job.id: change for change in changes}
        found = connection.execute(
            select(jobs.c.id, jobs.c.epoch, jobs.c.status, jobs.c.last_event)
            .where(jobs.c.id.in_(sorted(last)))
            .order_by(jobs.c.id)  # two who want the same rows must not wait for each other
            .with_for_update()
        )
        fresh = {
            row.id
            for row in found
            if row.epoch == last[row.id].epoch
            and (row.status not in TERMINAL_WORDS or self._was_written(row, last[row.id].job))
        }
        if stale := frozenset(last.keys() - fresh):
            raise StaleEpochError(stale)

    def _was_written(self, row: Any, job: Job) -> bool:
        """By the last try, whose success got lost."""
        return self._unsure and row.status == job.status.value and row.last_event == job.last_event
