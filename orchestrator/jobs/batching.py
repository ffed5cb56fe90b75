"""The rules by which results become batches: ten in the order in which they finished, then the end."""

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.errors import ClosedError, DuplicateResultError
from orchestrator.jobs import Job, Result, Status
from orchestrator.jobs.events import BatchComplete, Complete, Event, Progress


class Batcher:
    """A job's results: which items have one, and the batch that is being filled.

    `job` is the job as it will stand on disk once every event handed out so far is committed.
    """

    def __init__(
        self,
        job: Job,
        finished: Iterable[int] = (),
        partial: Iterable[Result] = (),
        provenance_ids: Iterable[str] = (),
    ) -> None:
        """`finished`: items whose batch is on disk. `partial`: results that a restart left without one.

        `provenance_ids`: what is on disk of where the job's marks come from.
        """
        self.job = job
        self._finished = set(finished)
        self._open: list[Result] = []
        self._provenance_ids = set(provenance_ids)
        self._new_provenance_ids: list[str] = []
        for result in partial:
            self.take(result)

    @property
    def partial(self) -> tuple[Result, ...]:
        """The results of the batch that is being filled."""
        return tuple(self._open)

    @property
    def left(self) -> int:
        return self.job.total - len(self._finished)

    def has(self, index: int) -> bool:
        return index in self._finished

    def new_provenance_ids(self) -> tuple[str, ...]:
        """Where marks come from that came since this was last asked, as far as it was not known."""
        new, self._new_provenance_ids = tuple(self._new_provenance_ids), []
        return new

    def start(self, now: float) -> None:
        """The job is worked on from now on; a second time this changes nothing."""
        if self.job.status is Status.QUEUED:
            self.job = self.job.moved(Status.PROCESSING, now)

    def measured(self, rate: float | None, error: float | None) -> None:
        """How fast the job is worked on, for what its next events say of the time that is left."""
        self.job = replace(self.job, rate=rate, rate_error=error)

    def settle(self, now: float) -> list[Event]:
        """The events that are due: a full batch, and after the last item the rest and the final event."""
        if self.job.terminal:
            return []
        events: list[Event] = []
        while len(self._open) >= self.job.batch_size:
            events.append(self._seal(now))
        if self.left == 0:
            events += self.close(Status.COMPLETED, now)
        return events

    def close(self, status: Status, now: float) -> list[Event]:
        """Ends the job: what is finished becomes the last batch, then comes the final event."""
        job = self.job.moved(status, now)
        events: list[Event] = [self._seal(now)] if self._open else []
        number = self.job.last_event + 1
        self.job = replace(
            job,
            completed=self.job.completed,
            failed_items=self.job.failed_items,
            last_event=number,
        )
        started = self.job.started_at if self.job.started_at is not None else now
        events.append(
            Complete(number, self.job.completed, max(0.0, now - started), status, self.job.failed_items)
        )
        return events

    def take(self, result: Result) -> None:
        """Takes one result; `settle` gives the events that are due then."""
        if self.job.terminal:
            raise ClosedError(f"job {self.job.id} has ended")
        if not 0 <= result.index < self.job.total:
            raise IndexError(f"job {self.job.id} has no item {result.index}")
        if result.index in self._finished:
            raise DuplicateResultError(f"item {result.index} of job {self.job.id} has a result")
        self._finished.add(result.index)
        self._open.append(result)
        origin = result.evidence.provenance_id
        if origin is not None and origin not in self._provenance_ids:
            self._provenance_ids.add(origin)
            self._new_provenance_ids.append(origin)

    def _seal(self, now: float) -> BatchComplete:
        results = tuple(self._open[: self.job.batch_size])
        del self._open[: self.job.batch_size]
        job = self.job
        self.job = replace(
            job,
            completed=job.completed + len(results),
            failed_items=job.failed_items + sum(result.failed for result in results),
            last_event=job.last_event + 1,
        )
        started = job.started_at if job.started_at is not None else now
        progress = Progress(
            self.job.completed, job.total, max(0.0, now - started), self.job.rate, self.job.rate_error
        )
        return BatchComplete(self.job.last_event, results, progress)
