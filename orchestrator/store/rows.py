"""Rows to our types and back."""

import math
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Row

from orchestrator.jobs import Evidence, Item, ItemError, Job, Priority, Result, Status
from orchestrator.jobs.events import result_dict

COUNTS = ("total", "batch_size", "completed", "failed_items", "last_event", "epoch")
NUMBERS = ("created_at", "started_at", "finished_at", "expires_at", "rate", "rate_error")


def job_values(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status.value,
        "priority": job.priority.value,
        "total": job.total,
        "batch_size": job.batch_size,
        "completed": job.completed,
        "failed_items": job.failed_items,
        "last_event": job.last_event,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        "rate": job.rate,
        "rate_error": job.rate_error,
    }


def job_from(row: Row[Any]) -> Job:
    """Raises ValueError where the row makes no sense, as after damage to the file."""
    if not all(is_count(getattr(row, name)) for name in COUNTS) or not row.batch_size:
        raise ValueError("a count is none")
    if not all(_is_number(getattr(row, name)) for name in NUMBERS) or row.created_at is None:
        raise ValueError("a time or a rate is none")
    return Job(
        id=row.id,
        status=Status(row.status),
        priority=Priority(row.priority),
        total=row.total,
        batch_size=row.batch_size,
        created_at=row.created_at,
        completed=row.completed,
        failed_items=row.failed_items,
        last_event=row.last_event,
        started_at=row.started_at,
        finished_at=row.finished_at,
        expires_at=row.expires_at,
        rate=row.rate,
        rate_error=row.rate_error,
    )


def mended_job(row: Row[Any], last_event: int, now: float) -> Job:
    """A job that can be ended, of a row that makes no sense: what can't be read is nothing."""
    counts = {name: value if is_count(value := getattr(row, name)) else 0 for name in COUNTS}
    times = {name: value if _is_number(value := getattr(row, name)) else None for name in NUMBERS}
    return Job(
        id=row.id,
        status=Status.PROCESSING,
        priority=Priority(row.priority) if row.priority in set(Priority) else Priority.NORMAL,
        total=counts["total"],
        batch_size=max(1, counts["batch_size"]),
        created_at=now if times["created_at"] is None else times["created_at"],
        completed=counts["completed"],
        failed_items=counts["failed_items"],
        last_event=last_event,
        started_at=times["started_at"],
    )


def is_count(value: Any) -> bool:
    """Whether a column that counts holds a count: SQLite keeps whatever is written into it."""
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))


def items_from(payload: str) -> list[Item]:
    return [_item_from(*row) for row in orjson.loads(payload)]


def _item_from(index: int, id_alumno: str, curso: str, consigna: str, respuesta: str, *error: str) -> Item:
    if type(index) is not int or not all(
        isinstance(text, str) for text in (id_alumno, curso, consigna, respuesta, *error)
    ):
        raise TypeError("an item is none")
    return Item(index, id_alumno, curso, consigna, respuesta, ItemError(*error) if error else None)


def partial_text(results: Sequence[Result]) -> str | None:
    return orjson.dumps([result_dict(result) for result in results]).decode() if results else None


def partial_from(payload: str | None) -> list[Result]:
    return [
        Result(
            index=row["index"],
            id_alumno=row["id_alumno"],
            nota=row["nota"],
            feedback=row["feedback"],
            error=ItemError(**row["error"]) if row["error"] else None,
            attempts=row["attempts"],
            evidence=_evidence_from(row),
        )
        for row in orjson.loads(payload or "[]")
    ]


def _evidence_from(row: dict[str, Any]) -> Evidence:
    probabilities = row.get("mark_probabilities")
    return Evidence(
        flags=tuple(row["flags"]),
        confidence=row["confidence"],
        # A version before these fields may have left the row.
        expected_mark=row.get("expected_mark"),
        mark_probabilities=tuple(probabilities) if probabilities is not None else None,
        share_kept=row.get("share_kept"),
        provenance_id=row.get("provenance_id"),
    )
