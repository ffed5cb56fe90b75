"""How far a round has come, as its clients know it."""

from __future__ import annotations

import asyncio


class Progress:
    """Counts the results that some subscriber has heard, and tells who waits for a share of them."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._heard: dict[str, int] = {}
        self._changed = asyncio.Event()

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return sum(self._heard.values()) / self._total

    def heard(self, job: str, completed: int) -> None:
        """A subscriber of ``job`` knows of so many results."""
        if completed > self._heard.get(job, 0):
            self._heard[job] = completed
            self._changed.set()
            self._changed = asyncio.Event()

    async def reached(self, share: float) -> None:
        """Return once so large a share was heard; the caller has a deadline."""
        while self.share < share:
            await self._changed.wait()
