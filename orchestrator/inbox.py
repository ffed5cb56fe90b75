"""What one task tells another: events, in order, taken by the one that owns what they change."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Never blocks who puts. What may be in it is bounded by who puts: an event for each item in flight."""

    def __init__(self) -> None:
        self._events: deque[T] = deque()
        self._filled = asyncio.Event()

    def put(self, event: T) -> None:
        self._events.append(event)
        self._filled.set()

    async def get(self, timeout_s: float | None) -> list[T]:
        """All events there are; waits for the first one, no longer than so many seconds."""
        if not self._events:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._filled.wait()
            except TimeoutError:
                pass
        self._filled.clear()
        events = list(self._events)
        self._events.clear()
        return events
