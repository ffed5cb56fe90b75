"""Jobs as the API tells of them, and the events of their streams."""

from typing import Any, Final

from orchestrator.api.components.shapes import (
    COUNT,
    JOB_ID,
    MOMENT,
    MOMENT_OR_NULL,
    may_grow,
    obj,
    or_null,
    ref,
    words,
)
from orchestrator.jobs import Priority, Status

STATUS: Final = ref("JobStatus")
LISTED: Final = {"type": "array", "items": ref("Result")}
JOB: Final[dict[str, Any]] = {
    "job_id": JOB_ID,
    "status": STATUS,
    "priority": ref("Priority"),
    "progress": ref("Progress"),
    "failed_items": COUNT,
    "created_at": MOMENT,
    "started_at": MOMENT_OR_NULL,
    "finished_at": MOMENT_OR_NULL,
    "expires_at": {**MOMENT_OR_NULL, "description": "Null while the job has not ended."},
    "provenance": or_null("Provenance", "What the marks are made with; null before the first of them."),
    "earlier_provenances": {
        "type": "array",
        "items": ref("Provenance"),
        "description": "Not empty where another model was loaded while the job ran.",
    },
}
ACCEPTED: Final[dict[str, Any]] = {
    "job_id": JOB_ID,
    "total_items": COUNT,
    "estimated_time_seconds": COUNT,
    "status": STATUS,
    "stream_url": {"type": "string"},
}
RESULTS: Final[dict[str, Any]] = {
    "job_id": JOB_ID,
    "status": STATUS,
    "total_items": COUNT,
    "completed": COUNT,
    "failed_items": COUNT,
    "results": LISTED,
    "provenances": {
        "type": "object",
        "description": "What the marks were made with, by its id.",
        "additionalProperties": ref("Provenance"),
    },
}
BATCH: Final[dict[str, Any]] = {
    "batch_number": {"type": "integer", "minimum": 1, "description": "The event's id, too."},
    "results": LISTED,
    "progress": ref("Progress"),
}
SUMMARY: Final[dict[str, Any]] = {
    "total_processed": COUNT,
    "total_time_seconds": {"type": "number"},
    "status": STATUS,
    "failed_items": COUNT,
}
MESSAGE: Final[dict[str, Any]] = {
    "id": {"type": "string", "description": "Its number; only an error has none."},
    "data": {
        "type": "string",
        "description": "An `Event` as JSON.",
        "contentMediaType": "application/json",
        "contentSchema": ref("Event"),
    },
}
EVENTS: Final = {"batch_complete": "BatchCompleteEvent", "complete": "CompleteEvent", "error": "ErrorEvent"}


def _event(kind: str, data: str, description: str) -> dict[str, Any]:
    """The envelope of one kind of event."""
    return obj({"event": {"type": "string", "const": kind}, "data": ref(data)}, description)


JOBS: Final[dict[str, Any]] = {
    "JobStatus": words(Status, "Where a job is."),
    "Priority": words(Priority, "A job's share while several run."),
    "Job": obj(JOB),
    "Accepted": obj(ACCEPTED),
    "Results": obj(RESULTS),
    "Batch": obj(BATCH),
    "Summary": obj(SUMMARY),
    "StreamError": obj({"code": may_grow("ErrorCode"), "error": {"type": "string"}}),
    "BatchCompleteEvent": _event("batch_complete", "Batch", "Ten results, the last time fewer."),
    "CompleteEvent": _event("complete", "Summary", "The last event, whatever way the job ended."),
    "ErrorEvent": _event("error", "StreamError", "The stream can't go on, as when its job expires."),
    "Event": {
        "description": "What a message of a job's stream says. Other kinds may come: pass over them.",
        "oneOf": [ref(name) for name in EVENTS.values()],
        "discriminator": {
            "propertyName": "event",
            "mapping": {kind: f"#/components/schemas/{name}" for kind, name in EVENTS.items()},
        },
    },
    "Message": obj(MESSAGE, "One server-sent message.", optional=("id",)),
}
