"""Ends a job that nobody works on: what is finished becomes its last batch, then comes the final event."""

from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.jobs import Job, Status
from orchestrator.jobs.batching import Batcher
from orchestrator.store import rows
from orchestrator.store.notify import JobHint
from orchestrator.store.payloads import payload
from orchestrator.store.reading import UNREADABLE
from orchestrator.store.tables import events, jobs

log = structlog.get_logger()


async def end_job(
    connection: AsyncConnection, row: Row[Any], status: Status, *, now: float, ttl_s: float
) -> tuple[Job, JobHint]:
    """Writes the end of the job of `row`, which is locked, under an epoch that nobody has claimed.

    A row that makes no sense ends all the same, without what can't be read of it.
    """
    try:
        batcher = Batcher(rows.job_from(row), partial=rows.partial_from(row.partial))
        last = batcher.close(status, now)
    except UNREADABLE as error:
        log.error("job_unreadable", job_id=row.id, reason=type(error).__name__)  # noqa: TRY400
        newest = await connection.scalar(select(func.max(events.c.number)).where(events.c.job_id == row.id))
        batcher = Batcher(rows.mended_job(row, newest or 0, now))
        last = batcher.close(status, now)
    job = replace(batcher.job, expires_at=now + ttl_s)
    await connection.execute(
        insert(events),
        [{"job_id": job.id, "number": event.number, "payload": payload(event).decode()} for event in last],
    )
    values = {
        **rows.job_values(job),
        "partial": None,
        "epoch": jobs.c.epoch + 1,
        "worker": None,
        "lease_until": None,
    }
    await connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    return job, JobHint(job.id, job.last_event, terminal=True)
