"""Bugs to build into the real orchestrator, for chaos to find. Each function changes its classes in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from orchestrator.jobs import Job
from orchestrator.jobs.events import BatchComplete
from orchestrator.store import Store
from orchestrator.store.store import Unfinished


def swap() -> None:
    """In each batch two students get each other's mark and feedback."""
    payload = BatchComplete.payload

    def swapped(batch: BatchComplete) -> bytes:
        results = list(batch.results)
        good = [place for place, result in enumerate(results) if not result.failed]
        if len(good) > 1:
            one, other = results[good[0]], results[good[-1]]
            results[good[0]] = replace(one, nota=other.nota, feedback=other.feedback)
            results[good[-1]] = replace(other, nota=one.nota, feedback=one.feedback)
        return payload(replace(batch, results=tuple(results)))

    BatchComplete.payload = swapped  # type: ignore[method-assign, assignment]


def resend() -> None:
    """After a restart an item whose result is on disk is graded again."""
    unfinished = Store.unfinished

    async def forgetful(store: Store, job: Job) -> Unfinished:
        known = await unfinished(store, job)
        return replace(known, finished=set(sorted(known.finished)[1:]))

    Store.unfinished = forgetful  # type: ignore[method-assign, assignment]


def skip() -> None:
    """Who reads events from the store never gets the second one."""
    events = Store.events

    async def incomplete(
        store: Store, job_id: str, after: int, limit: int | None = None
    ) -> list[tuple[int, bytes]]:
        return [event for event in await events(store, job_id, after, limit) if event[0] != 2]

    Store.events = incomplete  # type: ignore[method-assign, assignment]


PLANTS: dict[str, Callable[[], None]] = {"swap": swap, "resend": resend, "skip": skip}
CLUSTER_PLANTS: frozenset[str] = frozenset()
"""Those that show only where several orchestrators share a database."""
