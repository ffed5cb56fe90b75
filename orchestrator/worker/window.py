"""A job that is being processed: what is still to be sent, and whose turn it is."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.jobs import WEIGHTS, Item
from orchestrator.jobs.batching import Ledger


class Run:
    """One running job: its ledger, and its items that are not in flight."""

    def __init__(self, ledger: Ledger, items: Iterable[Item]) -> None:
        self.id = ledger.job.id
        self.ledger = ledger
        self.weight = WEIGHTS[ledger.job.priority]
        self.fresh = deque(items)
        self.again: deque[Attempt] = deque()
        self.in_flight = 0
        self.served_at = 0  # the window's count of sendings when this job had its last turn

    @property
    def ended(self) -> bool:
        return self.ledger.job.terminal

    @property
    def waiting(self) -> bool:
        return bool(self.again or self.fresh)

    def take(self) -> "Attempt":
        """The next item to send: those that go again come first, they hold up a batch."""
        return self.again.popleft() if self.again else Attempt(self, self.fresh.popleft())

    def stop(self) -> None:
        """Nothing of this job will be sent any more."""
        self.fresh.clear()
        self.again.clear()


@dataclass(slots=True, eq=False)
class Attempt:
    """An item on its way, and what befell it so far."""

    run: Run
    item: Item
    number: int = 0  # how often it was sent
    strikes: int = 0  # failures that were its own
    crashes: int = 0  # times that the model died while it was in flight, alone or in company
    breaks: int = 0  # times that only the stream broke
    sent_at: float = 0.0
    in_company: bool = False  # others were in flight with it, so that it need not be what killed the model


class Window:
    """The places for items in flight, shared by all jobs in proportion to their weights."""

    def __init__(self, size: int) -> None:
        self.size = size
        # The last few places are kept from jobs that already hold many: a small job that arrives
        # while a large one fills the window starts at once instead of after the next answers.
        self.reserve = size // 10
        self._served = 0

    def pick(self, runs: Iterable[Run], in_flight: int) -> Run | None:
        """The job that gets the next place: the one that holds the fewest for its weight."""
        free = self.size - in_flight
        if free <= 0:
            return None
        best: Run | None = None
        for run in runs:
            if not run.waiting or (free <= self.reserve <= run.in_flight):
                continue
            if best is None or self._before(run, best):
                best = run
        if best is not None:
            self._served += 1
            best.served_at = self._served
        return best

    @staticmethod
    def _before(run: Run, other: Run) -> bool:
        mine, theirs = run.in_flight * other.weight, other.in_flight * run.weight
        return (mine, run.served_at) < (theirs, other.served_at)
