"""What a client hears of a job."""

from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.jobs.job import Status
from orchestrator.jobs.result import Result

SURE = 2.0
"""Standard errors on each side, between which the time that is left most likely is."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. `rate`: items a second lately, outages left out; None where it is not measured."""

    completed: int
    total: int
    elapsed_s: float
    rate: float | None = None
    rate_error: float | None = None  # relative

    def as_dict(self) -> dict[str, Any]:
        """The time that is left is what the live rate says, or else the mean so far."""
        average = self.elapsed_s / self.completed if self.completed else 0.0
        left = self.total - self.completed
        remaining, between = average * left, None
        if self.rate:
            error = SURE * (self.rate_error or 0.0)
            remaining = left / self.rate
            slowest = remaining / (1 - error) if error < 1 else None
            between = [round(remaining / (1 + error), 2), None if slowest is None else round(slowest, 2)]
        return {
            "completed": self.completed,
            "total": self.total,
            "percentage": round(100 * self.completed / self.total, 2) if self.total else 100.0,
            "elapsed_seconds": round(self.elapsed_s, 2),
            "estimated_remaining_seconds": round(remaining, 2),
            "estimated_remaining_range_seconds": between,
            "avg_time_per_item": round(average, 4),
        }


class Event(Protocol):
    """Something that subscribers of a job get, under a number that counts from 1."""

    @property
    def number(self) -> int: ...
    def as_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class BatchComplete:
    """The number of a batch is the number of its event: nothing else comes before the final one."""

    number: int
    results: tuple[Result, ...]
    progress: Progress

    def as_dict(self) -> dict[str, Any]:
        data = {
            "batch_number": self.number,
            "results": [result_dict(result) for result in self.results],
            "progress": self.progress.as_dict(),
        }
        return {"event": "batch_complete", "data": data}


@dataclass(frozen=True, slots=True)
class Complete:
    """The final event, whatever way the job ended."""

    number: int
    total_processed: int
    total_time_s: float
    status: Status
    failed_items: int

    def as_dict(self) -> dict[str, Any]:
        data = {
            "total_processed": self.total_processed,
            "total_time_seconds": round(self.total_time_s, 2),
            "status": self.status,
            "failed_items": self.failed_items,
        }
        return {"event": "complete", "data": data}


def result_dict(result: Result) -> dict[str, Any]:
    error, evidence = result.error, result.evidence
    return {
        "index": result.index,
        "id_alumno": result.id_alumno,
        "nota": result.nota,
        "feedback": result.feedback,
        "status": "failed" if error else "ok",
        "error": {"code": error.code, "message": error.message} if error else None,
        "flags": evidence.flags,
        "attempts": result.attempts,
        "confidence": evidence.confidence,
        "expected_mark": evidence.expected_mark,
        "mark_probabilities": evidence.mark_probabilities,
        "share_kept": evidence.share_kept,
        "provenance_id": evidence.provenance_id,
    }
