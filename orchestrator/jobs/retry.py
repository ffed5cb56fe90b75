"""How long an item waits before it is tried again."""

import heapq
import random
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


def pause_s(tries: int, first_s: float, most_s: float) -> float:
    """Seconds before the next try, after so many: doubled each time, drawn so that not all come at once."""
    longest = min(most_s, first_s * 2.0 ** min(max(tries - 1, 0), 32))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  no secret


class Retries(Generic[T]):
    """What is tried again, by the moment at which it is due."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, T]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next_at(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def add(self, one: T, at: float) -> None:
        heapq.heappush(self._waiting, (at, next(self._order), one))

    def due(self, now: float) -> Iterator[T]:
        """Takes what is due."""
        while self._waiting and self._waiting[0][0] <= now:
            yield heapq.heappop(self._waiting)[2]
