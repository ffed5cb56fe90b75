"""How many jobs have not ended, and how fast they are worked on, without asking the database each time."""

import time

from orchestrator.store.committing import Committed
from orchestrator.store.reading import Backlog, Reading

MAX_AGE_S = 0.2
"""For so long what was read serves for refusing more jobs, and for who asks how we are."""


class RecentBacklog:
    """Over all processes. A sink of committed changes: where a job ends, there is room at once."""

    def __init__(self, reading: Reading, expected_rate: float) -> None:
        """`expected_rate`: items a second, until some were measured."""
        self._reading = reading
        self._found = Backlog()
        self._read_at = float("-inf")
        self._outdated_at = float("-inf")
        self.rate = expected_rate

    def committed(self, committed: Committed) -> None:
        if any(change.job.terminal for change in committed.changes):
            self.forget()

    def forget(self) -> None:
        """A job has ended: what was read before is out of date."""
        self._outdated_at = time.monotonic()

    async def get(self, age_s: float = MAX_AGE_S) -> Backlog:
        """As it was at most so many seconds ago. Raises StoreUnavailableError."""
        asked_at = time.monotonic()
        if self._read_at <= max(asked_at - age_s, self._outdated_at):
            self._found = await self._reading.backlog()
            self._read_at = asked_at
            self.rate = self._found.rate or self.rate  # between jobs the last known one stands
        return self._found
