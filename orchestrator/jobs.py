"""Jobs, items and results, and which moves a job may make. Frozen, without I/O."""

from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.errors import IllegalTransitionError
from orchestrator.normalising import is_blank


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
class ItemError:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Item:
    """One student's answer to one prompt; `index` is its place in the request.

    `error`: why it is not sent to the model, where that was known when it came.
    """

    index: int
    id_alumno: str
    curso: str
    consigna: str
    respuesta: str
    error: ItemError | None = None

    @property
    def chars(self) -> int:
        """What the model may have to read of it, in characters."""
        return len(self.curso) + len(self.consigna) + len(self.respuesta)

    @property
    def blank(self) -> bool:
        """Whether there is nothing to read in the answer, as Triton's preprocess sees it, too."""
        return is_blank(self.respuesta)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a teacher can hold a mark against: how sure the model was, and what was odd about the text.

    Probabilities are of the marks 0 to 5; `share_kept` is the part of the student's text that the model read;
    None where it is not known. `provenance_id` names what the mark was made with.
    """

    flags: tuple[str, ...] = ()
    confidence: float | None = None
    expected_mark: float | None = None
    mark_probabilities: tuple[float, ...] | None = None
    share_kept: float | None = None
    provenance_id: str | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item: a mark with feedback, or an error. Never both, never neither."""

    index: int
    id_alumno: str
    nota: int | None
    feedback: str | None
    error: ItemError | None
    attempts: int
    evidence: Evidence = NO_EVIDENCE

    def __post_init__(self) -> None:
        if (self.nota is None) == (self.error is None):
            raise ValueError("a result has a mark or an error")

    @property
    def failed(self) -> bool:
        return self.error is not None


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


def by_prompt(items: list[Item]) -> list[Item]:
    """The items grouped by what shares a prompt prefix, groups and members in order of appearance.

    vLLM caches the prefix of a prompt: students of one class who answer the same prompt share it.
    """
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.curso, item.consigna), []).append(item)
    return [item for group in groups.values() for item in group]
