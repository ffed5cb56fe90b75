"""The places for items in flight: how many this worker has, and whose turn it is."""

from collections.abc import Iterable

from orchestrator.worker.active import ActiveJob

RESERVED_SHARE = 10


class Window:
    """The places, shared by all jobs in proportion to their weights."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._served = 0

    @property
    def reserve(self) -> int:
        """The last few places are kept from jobs that already hold many.

        So a small job that arrives while a large one fills the window starts at once instead of after the
        next answers.
        """
        return self.size // RESERVED_SHARE

    def pick(self, jobs: Iterable[ActiveJob], in_flight: int) -> ActiveJob | None:
        """The job that gets the next place: the one that holds the fewest for its weight."""
        free = self.size - in_flight
        if free <= 0:
            return None
        best: ActiveJob | None = None
        for job in jobs:
            if not job.waiting or (free <= self.reserve <= job.in_flight):
                continue
            if best is None or _before(job, best):
                best = job
        if best is not None:
            self._served += 1
            best.served_at = self._served
        return best


def _before(job: ActiveJob, other: ActiveJob) -> bool:
    mine, theirs = job.in_flight * other.weight, other.in_flight * job.weight
    return (mine, job.served_at) < (theirs, other.served_at)
