"""Counts and logs how jobs end."""

import structlog

from orchestrator.observability.metrics import Metrics
from orchestrator.store.committing import Committed

log = structlog.get_logger()


class JobEnds:
    """A sink of committed changes."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, committed: Committed) -> None:
        for job in (change.job for change in committed.changes if change.job.terminal):
            self._metrics.jobs.labels(job.status.value).inc()
            log.info(
                "job_ended",
                job_id=job.id,
                status=job.status.value,
                items=job.completed,
                failed=job.failed_items,
            )
