"""What was measured: told to Locust's own statistics as it happens, and kept exactly for the verdict."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """A row in Locust's tables."""

    kind: str
    name: str


SUBMIT = Row("POST", "submit a job")
REFUSED = Row("429", "refused")
FIRST_BATCH = Row("SSE", "submit to first batch")
GAP = Row("SSE", "gap between batches")
DELIVERY = Row("SSE", "batch made to received")
ITEM = Row("ITEM", "one text, sent to marked")
JOB = Row("JOB", "time to complete")
LATE = Row("LOAD", "arrival later than planned")


class LoadError(Exception):
    """What Locust shows of a failure. Never quotes a text."""


class Fire(Protocol):
    """Locust's request event."""

    def __call__(self, **values: Any) -> None: ...


class Recorder:
    """Response times are told in ms, as Locust wants them, and kept in seconds."""

    def __init__(self, fire: Fire) -> None:
        self._fire = fire
        self.samples: defaultdict[Row, list[float]] = defaultdict(list)
        self.failures: Counter[tuple[Row, str]] = Counter()
        self.began: float | None = None
        self.last_item = 0.0
        self.open_jobs = 0

    def begin(self, at: float) -> None:
        """Some work begins, or was due, at this monotonic time: throughput counts from the first one."""
        self.began = at if self.began is None else min(self.began, at)

    def took(self, row: Row, seconds: float, size: int = 0) -> None:
        """Something succeeded."""
        if row is ITEM:
            self.last_item = time.monotonic()
        self.samples[row].append(seconds)
        self._tell(row, seconds, size, None)

    def failed(self, row: Row, problem: str, seconds: float = 0.0) -> None:
        """Something did not."""
        self.failures[row, problem] += 1
        self._tell(row, seconds, 0, LoadError(problem))

    def refused(self, seconds: float, *, wanted: bool) -> None:
        """An answer of 429: apart from what failed, and shown as an error only where it is not wanted."""
        self.samples[REFUSED].append(seconds)
        self._tell(REFUSED, seconds, 0, None if wanted else LoadError("too many jobs are waiting"))

    @property
    def items_per_s(self) -> float:
        """From the first item's arrival to the last one's mark."""
        if self.began is None or self.last_item <= self.began:
            return 0.0
        return len(self.samples[ITEM]) / (self.last_item - self.began)

    @property
    def summary(self) -> str:
        """How far it has come, in one line."""
        return (
            f"{len(self.samples[ITEM])} texts ({self.items_per_s:.1f}/s), "
            f"{len(self.samples[JOB])} jobs done, {self.open_jobs} open, "
            f"{len(self.samples[REFUSED])} refused, {self.failures.total()} failed"
        )

    def _tell(self, row: Row, seconds: float, size: int, error: LoadError | None) -> None:
        self._fire(
            request_type=row.kind,
            name=row.name,
            response_time=1000 * seconds,
            response_length=size,
            exception=error,
            context={},
        )
