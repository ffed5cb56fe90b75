"""How fast we are, and so how long things will take."""

import math
from collections import deque
from collections.abc import Iterable

SPAN_S = 30.0
MAX_RETRY_AFTER_S = 3600


class Estimate:
    """Items a second over the last half minute; between jobs the last known value stands."""

    def __init__(self, expected_items_per_s: float) -> None:
        self._rate = expected_items_per_s
        self._batches: deque[tuple[float, int]] = deque()
        self._count = 0

    def finished(self, items: int, now: float) -> None:
        """Some items got their results."""
        if self._batches and now - self._batches[-1][0] > SPAN_S:
            self._batches.clear()  # an idle time says nothing about speed
            self._count = 0
        self._batches.append((now, items))
        self._count += items
        while len(self._batches) > 2 and now - self._batches[0][0] > SPAN_S:
            self._count -= self._batches.popleft()[1]
        spent_s = now - self._batches[0][0]
        if spent_s > 0.5:
            # the first batch only marks the beginning of the time that the others took
            self._rate = (self._count - self._batches[0][1]) / spent_s

    def seconds(self, items: int) -> float:
        return items / max(self._rate, 1e-3)

    def next_end_s(self, left: Iterable[int]) -> int:
        """When the first of the running jobs will have ended, in whole seconds, if they share the speed."""
        running = list(left)
        if not running:
            return 1
        wait_s = self.seconds(min(running) * len(running))
        return max(1, min(MAX_RETRY_AFTER_S, math.ceil(wait_s)))
