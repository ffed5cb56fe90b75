"""Items that were in flight when the model died go again in small company, and at last alone.

So the one that kills the model is found within its attempts, and the others lose nothing but time.
"""

from collections import deque

from orchestrator.worker.window import Attempt


class Quarantine:
    """While it is busy nothing else is sent: a crash then tells something about the few items in flight."""

    def __init__(self, window_size: int, max_attempts: int) -> None:
        self._group = max(1, window_size // 16)
        self._alone_from = max(1, max_attempts - 1)
        self._suspects: deque[Attempt] = deque()
        self._released: deque[Attempt] = deque()
        self._out = False  # a group is at the model

    def add(self, attempt: Attempt) -> None:
        self._suspects.append(attempt)

    def busy(self, in_flight: int) -> bool:
        """There are suspects, to be sent or in flight. Those of jobs that have ended are forgotten here."""
        self._out = self._out and in_flight > 0
        for queue in (self._released, self._suspects):
            while queue and queue[0].run.ended:
                queue.popleft()
        return bool(self._out or self._released or self._suspects)

    def next(self, in_flight: int) -> Attempt | None:
        """The next suspect to send; none while the group before it is in flight."""
        if not self._released and self._suspects and in_flight == 0:
            self._release()
        if not self._released:
            return None
        self._out = True
        return self._released.popleft()

    def _release(self) -> None:
        first = self._suspects.popleft()
        self._released.append(first)
        if first.crashes >= self._alone_from:
            return
        while self._suspects and len(self._released) < self._group:
            if self._suspects[0].crashes >= self._alone_from:
                return
            self._released.append(self._suspects.popleft())
