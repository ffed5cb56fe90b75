"""Jobs that are being worked on, and their items on the way to a result."""

from collections import deque
from collections.abc import Iterable

from orchestrator.jobs import WEIGHTS, Item
from orchestrator.jobs.batching import Batcher
from orchestrator.jobs.isolation import Suspicion
from orchestrator.jobs.rate import Rate
from orchestrator.triton.server import Server


class ActiveJob:
    """One job: its results so far, and its items that are not in flight."""

    def __init__(self, batcher: Batcher, epoch: int, items: Iterable[Item]) -> None:
        self.id = batcher.job.id
        self.epoch = epoch
        self.batcher = batcher
        self.weight = WEIGHTS[batcher.job.priority]
        self.rate = Rate()
        self.fresh = deque(items)
        self.again: deque[Delivery] = deque()  # to be sent once more, now
        self.in_flight = 0
        self.served_at = 0  # the window's count of sendings when this job had its last turn
        self.ended = False  # nothing more is done for it: it has its final event, or is no longer ours

    @property
    def waiting(self) -> bool:
        return bool(self.again or self.fresh)

    @property
    def wanted(self) -> int:
        """Places that it could use: one for every item without a result, those to be tried apart too."""
        return 0 if self.ended else self.batcher.left

    def take(self) -> "Delivery":
        """The next item to send: those that go again come first, they hold up a batch."""
        return self.again.popleft() if self.again else Delivery(self, self.fresh.popleft())

    def end(self) -> None:
        """Nothing of this job will be sent any more, and no result of it is wanted."""
        self.ended = True
        self.fresh.clear()
        self.again.clear()


class Delivery:
    """An item on its way to a result, and what befell it so far."""

    __slots__ = ("breaks", "done", "item", "job", "sent", "strikes", "suspicion")

    def __init__(self, job: ActiveJob, item: Item) -> None:
        self.job = job
        self.item = item
        self.sent = 0  # how often
        self.strikes = 0  # failures that were its own
        self.breaks = 0  # times that it was alone when only the connection broke
        self.done = False  # it has a result
        self.suspicion: Suspicion[Server] = Suspicion()

    @property
    def closed(self) -> bool:
        """Nothing more is to be found out about it."""
        return self.done or self.job.ended


class ActiveJobs(dict[str, ActiveJob]):
    """By id, all that this worker holds. Changed by the worker alone."""

    @property
    def weight(self) -> int:
        """Of those that want places, together."""
        return sum(job.weight for job in self.values() if job.wanted)

    @property
    def wanted(self) -> int:
        return sum(job.wanted for job in self.values())
