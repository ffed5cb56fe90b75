"""How fast a job is worked on: over the last half minute, outages left out."""

from collections import deque
from dataclasses import dataclass

SPAN_S = 30.0
STEP_S = 0.5
"""Results that come closer together than this are counted as one observation."""
MIN_SPAN_S = 0.5


@dataclass(frozen=True, slots=True)
class Measured:
    """Items a second, and the relative standard error of that."""

    rate: float
    error: float


class Rate:
    """Counts results over time in which work was possible."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()
        self._total = 0

    def finished(self, items: int, at: float) -> None:
        """So many items got their results; `at` is by a clock that stands still during outages."""
        if self._counts and at - self._counts[-1][0] < STEP_S and len(self._counts) > 1:
            self._counts[-1] = (self._counts[-1][0], self._counts[-1][1] + items)
        else:
            self._counts.append((at, items))
        self._total += items
        while len(self._counts) > 2 and at - self._counts[0][0] > SPAN_S:
            self._total -= self._counts.popleft()[1]

    def measured(self, at: float) -> Measured | None:
        """None while there is too little to go by."""
        if not self._counts:
            return None
        # The first observation only marks the beginning of the time that the others took.
        first_at, first = self._counts[0]
        span_s, items, observations = at - first_at, self._total - first, len(self._counts) - 1
        if observations < 1 or items <= 0 or span_s < MIN_SPAN_S:
            return None
        return Measured(items / span_s, observations**-0.5)


class ActiveTime:
    """Seconds in which work was possible, by a monotonic clock: it stands still while it is not."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._active = False
        self._seconds = 0.0

    def update(self, now: float, active: bool) -> float:
        """The seconds until now; `active` tells whether the time from now on counts."""
        if self._active:
            self._seconds += max(0.0, now - self._at)
        self._at, self._active = now, active
        return self._seconds
