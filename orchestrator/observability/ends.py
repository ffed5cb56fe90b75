"""Counts and logs how jobs end."""

import structlog

from orchestrator.jobs import Job
from orchestrator.observability.metrics import Metrics
from orchestrator.store.committing import Committed

log = structlog.get_logger()


class JobEnds:
    """A sink of committed changes; and hears of the jobs that end without a worker."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, committed: Committed) -> None:
        for change in committed.changes:
            if change.job.terminal:
                self.ended(change.job)

    def ended(self, job: Job) -> None:
        self._metrics.jobs.labels(job.status.value).inc()
        log.info(
            "job_ended",
            job_id=job.id,
            status=job.status.value,
            items=job.completed,
            failed=job.failed_items,
        )
