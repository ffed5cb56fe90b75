"""Bugs to build into the real orchestrator, for chaos to find. Each function changes its classes in place."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import select, update

from orchestrator.jobs import Job
from orchestrator.jobs.events import BatchComplete
from orchestrator.store.claims import Beat, Claims
from orchestrator.store.committing import Committing
from orchestrator.store.fleet import Load
from orchestrator.store.reading import Reading, Unfinished
from orchestrator.store.tables import jobs


def swap() -> None:
    """In each batch two students get each other's mark and feedback."""
    as_dict = BatchComplete.as_dict

    def swapped(batch: BatchComplete) -> dict[str, Any]:
        results = list(batch.results)
        good = [place for place, result in enumerate(results) if not result.failed]
        if len(good) > 1:
            one, other = results[good[0]], results[good[-1]]
            results[good[0]] = replace(one, nota=other.nota, feedback=other.feedback)
            results[good[-1]] = replace(other, nota=one.nota, feedback=one.feedback)
        return as_dict(replace(batch, results=tuple(results)))

    BatchComplete.as_dict = swapped  # type: ignore[method-assign, assignment]


def resend() -> None:
    """Whoever goes on with a job grades an item again whose result is in the database."""
    unfinished = Reading.unfinished

    async def forgetful(reading: Reading, job: Job) -> Unfinished:
        known = await unfinished(reading, job)
        return replace(known, finished=set(sorted(known.finished)[1:]))

    Reading.unfinished = forgetful  # type: ignore[method-assign, assignment]


def skip() -> None:
    """Who reads events from the database never gets the second one."""
    events = Reading.events

    async def incomplete(
        reading: Reading, job_id: str, after: int, limit: int | None = None
    ) -> list[tuple[int, bytes]]:
        return [event for event in await events(reading, job_id, after, limit) if event[0] != 2]

    Reading.events = incomplete  # type: ignore[method-assign, assignment]


def no_fence() -> None:
    """A commit goes through whoever has claimed the job since."""
    Committing._check_epochs = lambda *_: None  # type: ignore[method-assign]


def no_heartbeat() -> None:
    """A worker never renews the leases of its jobs, and works on as if it had."""
    beat = Claims.beat

    async def unrenewed(claims: Claims, worker_id: str, load: Load, working: Collection[str]) -> Beat:
        mine = select(jobs.c.id, jobs.c.lease_until).where(jobs.c.worker == worker_id)
        async with claims._database.read() as connection:
            leases = (await connection.execute(mine)).all()
        heard = await beat(claims, worker_id, load, working)
        async with claims._database.write() as connection:
            for job_id, lease_until in leases:
                own = (jobs.c.id == job_id) & (jobs.c.worker == worker_id)
                await connection.execute(update(jobs).where(own).values(lease_until=lease_until))
        return heard

    Claims.beat = unrenewed  # type: ignore[method-assign, assignment]


PLANTS: dict[str, Callable[[], None]] = {
    "swap": swap,
    "resend": resend,
    "skip": skip,
    "no-fence": no_fence,
    "no-heartbeat": no_heartbeat,
}
CLUSTER_PLANTS = frozenset({"no-fence", "no-heartbeat"})
"""Those that show only where several orchestrators share a database."""
