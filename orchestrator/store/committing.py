"""What a group of changes writes, statement by statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, update

from orchestrator.jobs import Job, Result
from orchestrator.jobs.provenance import Provenance
from orchestrator.store import rows
from orchestrator.store.tables import events, jobs, provenances

_UPDATE_JOB = (
    update(jobs)
    .where(jobs.c.id == bindparam("id_"))
    .values({name: bindparam(name) for name in ("status", "completed", "failed_items", "last_event")})
    .values({name: bindparam(name) for name in ("started_at", "finished_at", "expires_at", "loose")})
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
    events: tuple[tuple[int, bytes], ...] = ()
    loose: tuple[Result, ...] = ()
    provenances: tuple[Provenance, ...] = ()  # those that no earlier change of the job brought


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
                {**rows.job_values(change.job), "id_": change.job.id, "loose": rows.loose_text(change.loose)}
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
