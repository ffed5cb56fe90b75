"""Jobs, and which moves a job may make."""

from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.errors import IllegalTransitionError


class Status(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


TERMINAL = frozenset({Status.COMPLETED, Status.CANCELLED, Status.FAILED})
_LEGAL = {
    Status.QUEUED: frozenset({Status.PROCESSING, Status.CANCELLED, Status.FAILED}),
    Status.PROCESSING: TERMINAL,
}


class Priority(StrEnum):
    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BULK = "bulk"


# Shares of the window, and how much earlier than its arrival a waiting job counts as having come.
# A head start, unlike a strict order, lets no job wait for ever behind later ones.
WEIGHTS = {Priority.INTERACTIVE: 4, Priority.NORMAL: 2, Priority.BULK: 1}
HEAD_START_S = {Priority.INTERACTIVE: 600.0, Priority.NORMAL: 0.0, Priority.BULK: -600.0}


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands on disk. Times are seconds since the epoch."""

    id: str
    status: Status
    priority: Priority
    total: int
    batch_size: int
    created_at: float
    completed: int = 0
    failed_items: int = 0
    last_event: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    rate: float | None = None  # items a second while it was worked on lately; None: not measured
    rate_error: float | None = None  # its relative standard error

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def waits_from(self) -> float:
        """The moment from which a waiting job counts as waiting; the earliest goes first."""
        return self.created_at - HEAD_START_S[self.priority]

    def moved(self, to: Status, now: float) -> "Job":
        """This job after a move, or IllegalTransitionError. The only place where a status changes."""
        if to not in _LEGAL.get(self.status, frozenset()):
            raise IllegalTransitionError(f"a job that is {self.status} can't become {to}")
        if to is Status.PROCESSING:
            return replace(self, status=to, started_at=now)
        return replace(self, status=to, finished_at=now)
