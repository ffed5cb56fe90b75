"""Rows to our types and back."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Row

from orchestrator.jobs import Evidence, Item, ItemError, Job, Priority, Result, Status
from orchestrator.jobs.events import result_dict


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


def items_from(payload: str) -> list[Item]:
    return [_item_from(*row) for row in orjson.loads(payload)]


def _item_from(index: int, id_alumno: str, curso: str, consigna: str, respuesta: str, *error: str) -> Item:
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
