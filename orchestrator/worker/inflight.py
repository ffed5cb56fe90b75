"""Items at Triton, and what becomes of each: a result, another attempt, or a place in quarantine.

A model that dies takes every item in flight with it. Were that held against each of them, one poisonous text
would fail 150 innocent ones. So a failure is held until a probe tells whether the model lives: if so, the
failure is the item's own, and counts. If not, all that were in flight are suspects, and only one that was
alone can be convicted.
"""

import time
from collections.abc import Callable

import structlog

from orchestrator.config import Settings
from orchestrator.jobs import NO_EVIDENCE, Evidence, ItemError, Result
from orchestrator.jobs.isolation import Quarantine
from orchestrator.observability.metrics import Metrics
from orchestrator.triton.codec import Answer, Failure, Outcome, Refusal
from orchestrator.triton.pool import Link
from orchestrator.worker.window import Attempt, Run

MAX_BREAKS = 3  # a stream that breaks again and again under an item is held against it like a crash
FAILED = ItemError("inference_error", "The model failed on this text.")
CRASHED = ItemError("model_crashed", "The model crashed each time it got this text.")
TIMED_OUT = ItemError("item_timeout", "The model did not answer in time.")

log = structlog.get_logger()


class Flights:
    """The link's listener. `record` takes results, `wake` tells that there may be room again."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        metrics: Metrics,
        *,
        record: Callable[[Run, Result], None],
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._link = link
        self._metrics = metrics
        self._record = record
        self._wake = wake
        self._in_flight: dict[str, Attempt] = {}
        self._held: list[tuple[Attempt, ItemError]] = []
        self.chars = 0  # of all items in flight
        self.quarantine = Quarantine(settings.max_in_flight, settings.max_attempts)

    def __len__(self) -> int:
        return len(self._in_flight)

    @property
    def places_taken(self) -> int:
        """Items in flight, and those whose failure waits to be judged."""
        return len(self._in_flight) + len(self._held)

    def add(self, request_id: str, attempt: Attempt) -> None:
        attempt.number += 1
        attempt.sent_at = time.monotonic()
        attempt.run.in_flight += 1
        attempt.in_company = self.places_taken > 0
        if len(self._in_flight) == 1:
            next(iter(self._in_flight.values())).in_company = True
        self._in_flight[request_id] = attempt
        self.chars += attempt.item.chars
        self._metrics.attempts.inc()

    # What the link tells.

    def on_outcome(self, request_id: str, outcome: Outcome) -> None:
        attempt = self._land(request_id)
        if attempt is None:
            return  # too late: its time was up, and another attempt is on its way
        if isinstance(outcome, Failure):
            self._hold(attempt, FAILED)
        else:
            self._metrics.item_seconds.observe(time.monotonic() - attempt.sent_at)
            self._answered(attempt, outcome)
        self._wake()

    def on_probe(self, alive: bool) -> None:
        held, self._held = self._held, []
        for attempt, error in held:
            if alive:
                self._strike(attempt, error)
            else:
                self._crashed(attempt)
        self._wake()

    def on_break(self, survived: bool) -> None:
        lost = [attempt for request_id in list(self._in_flight) if (attempt := self._land(request_id))]
        lost += [attempt for attempt, _ in self._held]
        self._held = []
        if lost:
            log.warning("items_lost", count=len(lost), server_survived=survived)
        for attempt in lost:
            attempt.breaks += survived  # a server that died broke the stream for everyone
            if survived and attempt.breaks < MAX_BREAKS:
                self._again(attempt, "stream_broken")
            else:
                self._crashed(attempt)
        self._wake()

    def on_tick(self) -> None:
        overdue = time.monotonic() - self._settings.item_timeout_s
        for request_id, attempt in list(self._in_flight.items()):
            if attempt.sent_at > overdue:
                break  # they lie in the order of sending
            self._land(request_id)
            self._hold(attempt, TIMED_OUT)

    def on_up(self) -> None:
        self._wake()

    # What becomes of an item.

    def _land(self, request_id: str) -> Attempt | None:
        attempt = self._in_flight.pop(request_id, None)
        if attempt is not None:
            attempt.run.in_flight -= 1
            self.chars -= attempt.item.chars
        return attempt

    def _hold(self, attempt: Attempt, error: ItemError) -> None:
        self._held.append((attempt, error))
        self._link.doubt()

    def _answered(self, attempt: Attempt, outcome: Answer | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._fail(attempt, ItemError(outcome.code, outcome.message))
        elif outcome.nota is None or outcome.error or outcome.error_code:
            code = outcome.error_code or "unusable_output"
            error = ItemError(code, outcome.error or "The model's answer can't be used.")
            self._strike(attempt, error, outcome.evidence)
        else:
            item = attempt.item
            result = Result(
                index=item.index,
                id_alumno=item.id_alumno,
                nota=outcome.nota,
                feedback=outcome.feedback,
                error=None,
                attempts=attempt.number,
                evidence=outcome.evidence,
            )
            self._record(attempt.run, result)

    def _strike(self, attempt: Attempt, error: ItemError, evidence: Evidence = NO_EVIDENCE) -> None:
        attempt.strikes += 1
        if attempt.strikes >= self._settings.max_attempts:
            self._fail(attempt, error, evidence)
        else:
            self._again(attempt, error.code)

    def _crashed(self, attempt: Attempt) -> None:
        attempt.crashes += 1
        if not attempt.in_company and attempt.crashes >= self._settings.max_attempts:
            self._fail(attempt, CRASHED)
        elif not attempt.run.ended:
            self._metrics.retried("model_crashed")
            self.quarantine.add(attempt)

    def _again(self, attempt: Attempt, cause: str) -> None:
        if not attempt.run.ended:
            self._metrics.retried(cause)
            attempt.run.again.append(attempt)

    def _fail(self, attempt: Attempt, error: ItemError, evidence: Evidence = NO_EVIDENCE) -> None:
        item = attempt.item
        result = Result(item.index, item.id_alumno, None, None, error, attempt.number, evidence)
        self._record(attempt.run, result)
