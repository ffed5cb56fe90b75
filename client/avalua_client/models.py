"""What the service says, as frozen dataclasses. ``raw`` is the whole JSON object, with what is newer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from avalua_client.errors import ProtocolError

JobStatus = Literal["queued", "processing", "completed", "cancelled", "failed"]
ENDED: frozenset[str] = frozenset({"completed", "cancelled", "failed"})
"""The statuses of a job that is over."""


@dataclass(frozen=True)
class Item:
    """One answer of one student. A blank answer is sent, too: its result says ``blank_answer``."""

    id_alumno: str
    curso: str
    consigna: str
    respuesta: str | None

    def as_json(self) -> dict[str, Any]:
        """The object that the service takes."""
        return {
            "id_alumno": self.id_alumno,
            "curso": self.curso,
            "consigna": self.consigna,
            "respuesta": self.respuesta,
        }


@dataclass(frozen=True)
class Job:
    """A job that was taken."""

    job_id: str
    total_items: int
    raw: Mapping[str, Any]

    @classmethod
    def from_json(cls, raw: Any) -> Job:
        with _reading("the answer to a new job"):
            return cls(str(raw["job_id"]), int(raw["total_items"]), raw)


@dataclass(frozen=True)
class Result:
    """The mark of one text, ``nota`` 0 to 5, or why it has none (``error_code``, ``error_message``).

    ``index`` is the item's 0-based place in what was sent, ``confidence`` 0 to 1.
    """

    index: int
    id_alumno: str
    nota: int | None
    feedback: str | None
    status: str
    error_code: str | None
    error_message: str | None
    flags: tuple[str, ...]
    confidence: float | None
    raw: Mapping[str, Any]

    @classmethod
    def from_json(cls, raw: Any) -> Result:
        with _reading("a result"):
            error = raw["error"] or {}
            return cls(
                int(raw["index"]),
                str(raw["id_alumno"]),
                raw["nota"],
                raw["feedback"],
                str(raw["status"]),
                error.get("code"),
                error.get("message"),
                tuple(raw.get("flags") or ()),
                raw.get("confidence"),
                raw,
            )

    @property
    def ok(self) -> bool:
        """Whether there is a mark."""
        return self.status == "ok"

    def moved(self, index: int) -> Result:
        """The same under another index: the text's place in a list of which the job was a part."""
        return Result.from_json({**self.raw, "index": index})


@dataclass(frozen=True)
class Progress:
    """How far a job is. Seconds; ``remaining_s`` is an estimate."""

    completed: int
    total: int
    elapsed_s: float
    remaining_s: float | None

    @classmethod
    def from_json(cls, raw: Any) -> Progress:
        with _reading("a job's progress"):
            return cls(
                int(raw["completed"]),
                int(raw["total"]),
                float(raw["elapsed_seconds"]),
                raw.get("estimated_remaining_seconds"),
            )


@dataclass(frozen=True)
class Batch:
    """Results that became known together, ten by default. ``number`` counts from 1."""

    number: int
    results: tuple[Result, ...]
    progress: Progress


@dataclass(frozen=True)
class End:
    """A job's last event. Seconds."""

    status: str
    total_processed: int
    failed_items: int
    total_time_s: float


@dataclass(frozen=True)
class Status:
    """What the service says of a job when it is asked."""

    job_id: str
    status: str
    progress: Progress
    failed_items: int
    expires_at: str | None
    raw: Mapping[str, Any]

    @classmethod
    def from_json(cls, raw: Any) -> Status:
        with _reading("a job's status"):
            return cls(
                str(raw["job_id"]),
                str(raw["status"]),
                Progress.from_json(raw["progress"]),
                int(raw["failed_items"]),
                raw.get("expires_at"),
                raw,
            )

    @property
    def ended(self) -> bool:
        """Whether the job is over, in whatever way."""
        return self.status in ENDED


class _reading:
    """Raises ProtocolError where an answer lacks what the contract promises."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, (LookupError, TypeError, ValueError, AttributeError)):
            raise ProtocolError(
                f"The address answers, but {self._what} is not as Avalua writes it: is it the right address?"
            ) from None
