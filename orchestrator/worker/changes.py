"""What the worker wants to be written, on its way to the committer."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable

from orchestrator.store.committing import Change

MAX_PENDING = 64


class Changes:
    """A queue with a bound that who fills it looks at: an item in flight can't be asked to come later."""

    def __init__(self) -> None:
        self._pending: list[Change] = []
        self._unwritten: Counter[str] = Counter()  # by job
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.doubted: str | None = None  # why the database may not be writable
        self.hurry = asyncio.Event()  # somebody waits for the next commit

    @property
    def full(self) -> bool:
        """No more work should be started: what is finished waits to be written."""
        return self._unwritten.total() >= MAX_PENDING

    @property
    def job_ids(self) -> Collection[str]:
        """The jobs of which something is still to be written."""
        return self._unwritten.keys()

    def put(self, change: Change) -> None:
        self._pending.append(change)
        self._unwritten[change.job.id] += 1
        self._drained.clear()
        self._filled.set()
        if change.job.terminal:
            self.hurry.set()

    async def take(self) -> list[Change]:
        """All there are, which may be none; waits for the first one, or for a doubt."""
        await self._filled.wait()
        self._filled.clear()
        changes, self._pending = self._pending, []
        return changes

    def doubt(self, reason: str) -> None:
        """Something else could not be written: has the committer find out whether anything can."""
        self.doubted = reason
        self._filled.set()

    def settled(self, changes: Iterable[Change]) -> None:
        """These are written, or will never be."""
        self._unwritten -= Counter(change.job.id for change in changes)  # drops those that come to nothing
        if not self._unwritten:
            self._drained.set()

    async def drained(self) -> None:
        """Returns when all that was put is settled."""
        self.hurry.set()
        await self._drained.wait()
