"""What a client hears of a job, and its one serialised form."""

from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from orchestrator.jobs import Result, Status

# U+2028, U+2029 and U+0085 in UTF-8, and as JSON escapes them.
SEPARATORS = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"), (b"\xc2\x85", rb"\u0085"))


@dataclass(frozen=True, slots=True)
class Progress:
    completed: int
    total: int
    elapsed_s: float

    def as_dict(self) -> dict[str, Any]:
        average = self.elapsed_s / self.completed if self.completed else 0.0
        return {
            "completed": self.completed,
            "total": self.total,
            "percentage": round(100 * self.completed / self.total, 2) if self.total else 100.0,
            "elapsed_seconds": round(self.elapsed_s, 2),
            "estimated_remaining_seconds": round(average * (self.total - self.completed), 2),
            "avg_time_per_item": round(average, 4),
        }


class Event(Protocol):
    """Something that subscribers of a job get, under a number that counts from 1."""

    @property
    def number(self) -> int: ...
    def payload(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class BatchComplete:
    """The number of a batch is the number of its event: nothing else comes before the final one."""

    number: int
    results: tuple[Result, ...]
    progress: Progress

    def payload(self) -> bytes:
        data = {
            "batch_number": self.number,
            "results": [result_dict(result) for result in self.results],
            "progress": self.progress.as_dict(),
        }
        return orjson.dumps({"event": "batch_complete", "data": data})


@dataclass(frozen=True, slots=True)
class Complete:
    """The final event, whatever way the job ended."""

    number: int
    total_processed: int
    total_time_s: float
    status: Status
    failed_items: int

    def payload(self) -> bytes:
        data = {
            "total_processed": self.total_processed,
            "total_time_seconds": round(self.total_time_s, 2),
            "status": self.status,
            "failed_items": self.failed_items,
        }
        return orjson.dumps({"event": "complete", "data": data})


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


def results_in(payload: str | bytes) -> list[dict[str, Any]]:
    """The results that an event's serialised form carries; none in a final event."""
    results: list[dict[str, Any]] = orjson.loads(payload)["data"].get("results", [])
    return results


def one_line(payload: bytes) -> bytes:
    """The same JSON without the characters beyond ASCII at which common readers of lines cut.

    In JSON they can only stand inside of a string, where an escape says the same; JSON escapes the others.
    """
    for separator, escape in SEPARATORS:
        payload = payload.replace(separator, escape)
    return payload


def frame(number: int, payload: bytes) -> bytes:
    """An unnamed server-sent message, in one data line."""
    return b"id: %d\ndata: %b\n\n" % (number, one_line(payload))
