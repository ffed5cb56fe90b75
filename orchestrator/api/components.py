"""The shapes of what the API answers, as JSON Schema. What it takes lies in schemas.py."""

from collections.abc import Iterable
from typing import Any

from orchestrator.api.codes import ERRORS, ROW_PROBLEMS
from orchestrator.jobs import Priority, Status
from orchestrator.jobs.codes import FLAGS, ITEM_ERRORS


def ref(name: str) -> dict[str, str]:
    """The component of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def words(known: Iterable[str], description: str) -> dict[str, Any]:
    """One of these, as things are today."""
    return {"type": "string", "enum": list(known), "description": description}


def may_grow(name: str) -> dict[str, Any]:
    """One of the words of that component, or one that is newer than who reads this."""
    return {"anyOf": [ref(name), {"type": "string"}]}


def complete(schema: dict[str, Any], *optional: str) -> dict[str, Any]:
    """An object that always has all of its properties but these. More may be added."""
    return {**schema, "required": [name for name in schema["properties"] if name not in optional]}


ERROR = {
    "type": "object",
    "required": ["error", "code", "details"],
    "properties": {
        "error": {"type": "string", "description": "One clear sentence."},
        "code": {**may_grow("ErrorCode"), "description": "The same for programs."},
        "details": {"description": "More where there is more to say, or null."},
    },
}
ITEM_ERROR = {
    "type": "object",
    "properties": {
        "code": may_grow("ItemErrorCode"),
        "message": {"type": "string", "description": "One clear sentence."},
    },
}
SHARE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
RESULT = {
    "type": "object",
    "properties": {
        "index": {"type": "integer", "minimum": 0, "description": "The item's place in the request."},
        "id_alumno": {"type": "string"},
        "nota": {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
        "feedback": {"type": ["string", "null"]},
        "status": ref("ResultStatus"),
        "error": {"anyOf": [ref("ItemError"), {"type": "null"}]},
        "flags": {"type": "array", "items": may_grow("Flag")},
        "attempts": {"type": "integer", "minimum": 0},
        "confidence": {**SHARE, "description": "The probability of the mark that was given."},
        "expected_mark": {"type": ["number", "null"], "minimum": 0, "maximum": 5},
        "mark_probabilities": {
            "type": ["array", "null"],
            "items": {"type": "number"},
            "minItems": 6,
            "maxItems": 6,
            "description": "Of the marks 0 to 5, as the model itself saw them. They sum to 1.",
        },
        "share_kept": {**SHARE, "description": "The part of the answer that the model read."},
        "provenance_id": {
            "type": ["string", "null"],
            "description": "What the mark was made with; null where no model was asked.",
        },
    },
}
PROBLEM = {
    "type": "object",
    "properties": {
        "row": {"type": "integer", "description": "As a spreadsheet numbers rows."},
        "column": {"type": ["string", "null"], "description": "Its letter."},
        "code": may_grow("RowProblemCode"),
        "message": {"type": "string", "description": "One sentence that says what to do."},
    },
}
TABLE_ROW = {
    "type": "object",
    "properties": {
        "row": {"type": "integer", "description": "As a spreadsheet numbers rows."},
        "cells": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
    },
}
TABLE_ERROR = {
    "type": "object",
    "properties": {"code": may_grow("ErrorCode"), "message": {"type": "string"}},
}
PLACE = {"type": ["integer", "null"], "minimum": 0}
TABLE_FIELDS = {
    "type": "object",
    "description": "Columns, counted from 0.",
    "properties": {
        "respuesta": {"type": "integer", "minimum": 0},
        "id_alumno": PLACE,
        "curso": PLACE,
        "consigna": PLACE,
    },
}
TABLE = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["csv", "xlsx"]},
        "encoding": {"type": ["string", "null"], "description": "Of a CSV, as found or asked for."},
        "separator": {"type": ["string", "null"]},
        "sheet": {"type": ["string", "null"], "description": "Of a workbook: the one that was read."},
        "sheets": {"type": "array", "items": {"type": "string"}, "description": "All that can be seen."},
        "header_row": {"type": "integer"},
        "columns": {"type": "array", "items": {"type": "string"}, "description": "The headings."},
        "fields": {
            "anyOf": [ref("TableFields"), {"type": "null"}],
            "description": "Which column holds a field; null where `error` says why not.",
        },
        "rows": {
            "type": "array",
            "items": ref("TableRow"),
        },
        "items": {"type": ["integer", "null"], "description": "How many texts there are to mark."},
        "problems": {"type": "array", "items": ref("RowProblem"), "description": "Rows without a mark."},
        "error": {"anyOf": [ref("TableError"), {"type": "null"}]},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
}  # fmt: skip
PROGRESS = {
    "type": "object",
    "properties": {
        "completed": {"type": "integer"},
        "total": {"type": "integer"},
        "percentage": {"type": "number"},
        "elapsed_seconds": {"type": "number"},
        "estimated_remaining_seconds": {
            "type": "number",
            "description": "By the speed of the last half minute, outages left out; by the mean before that.",
        },
        "estimated_remaining_range_seconds": {
            "type": ["array", "null"],
            "description": "Between these two it most likely is; the second is null where nobody can tell. "
            "Null while no speed was measured.",
            "prefixItems": [{"type": "number"}, {"type": ["number", "null"]}],
            "minItems": 2,
            "maxItems": 2,
        },
        "avg_time_per_item": {"type": "number"},
    },
}
MOMENT = {"type": ["string", "null"], "format": "date-time"}
STATUS = ref("JobStatus")
PROVENANCE = {
    "type": "object",
    "description": "Where marks come from: enough to defend one, or to make it again.",
    "properties": {
        "id": {"type": "string"},
        "model": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "revision": {"type": "string"},
                "weights": {"type": "string", "description": "A hash of the files of weights."},
                "weights_sampled": {
                    "type": "string",
                    "description": "A hash of the beginning and end of each, where they are over 1 GiB.",
                },
            },
        },
        "tokenizer": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "revision": {"type": "string"}},
        },
        "normalise_text": {"type": "boolean", "description": "Whether texts were brought to one form first."},
        "engine": {"type": "object", "description": "What vLLM was started with."},
        "template_sha256": {"type": "string"},
        "sampling": {"type": "object"},
        "seed": {"type": "string"},
        "versions": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
JOB = {
    "type": "object",
    "properties": {
        "job_id": {"type": "string", "format": "uuid"},
        "status": STATUS,
        "priority": ref("Priority"),
        "progress": ref("Progress"),
        "failed_items": {"type": "integer"},
        "created_at": MOMENT,
        "started_at": MOMENT,
        "finished_at": MOMENT,
        "expires_at": MOMENT,
        "provenance": {
            "anyOf": [ref("Provenance"), {"type": "null"}],
            "description": "What the marks are made with; null before the first of them.",
        },
        "earlier_provenances": {
            "type": "array",
            "items": ref("Provenance"),
            "description": "Not empty where another model was loaded while the job ran.",
        },
    },
}
ACCEPTED = {
    "type": "object",
    "properties": {
        "job_id": {"type": "string", "format": "uuid"},
        "total_items": {"type": "integer"},
        "estimated_time_seconds": {"type": "integer"},
        "status": STATUS,
        "stream_url": {"type": "string"},
    },
}
RESULTS = {
    "type": "object",
    "properties": {
        "job_id": {"type": "string", "format": "uuid"},
        "status": STATUS,
        "total_items": {"type": "integer"},
        "completed": {"type": "integer"},
        "failed_items": {"type": "integer"},
        "results": {"type": "array", "items": ref("Result")},
        "provenances": {
            "type": "object",
            "description": "What the marks were made with, by its id.",
            "additionalProperties": ref("Provenance"),
        },
    },
}
HEALTH = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["healthy", "unhealthy"]},
        "model_loaded": {"type": "boolean"},
        "gpu_available": {"type": "boolean", "description": "Having none is no fault."},
        "gpu_memory": {
            "type": ["object", "null"],
            "description": "Of all GPUs together.",
            "properties": {"total_bytes": {"type": "integer"}, "used_bytes": {"type": "integer"}},
        },
        "active_jobs": {"type": "integer", "description": "Being worked on, by whichever process."},
        "queued_jobs": {"type": "integer", "description": "Waiting, over all processes."},
        "items_in_flight": {"type": "integer"},
        "roles": {"type": "array", "items": {"type": "string", "enum": ["api", "worker"]}},
        "workers": {"type": "integer", "description": "Processes that work on jobs, over all."},
        "storage": {"type": "string", "enum": ["ok", "unavailable"]},
        "draining": {"type": "boolean"},
        "version": {"type": "string"},
        "notice": {"type": ["string", "null"]},
    },
}
BATCH = {
    "type": "object",
    "properties": {
        "batch_number": {"type": "integer", "minimum": 1, "description": "The event's id, too."},
        "results": {"type": "array", "items": ref("Result")},
        "progress": ref("Progress"),
    },
}
SUMMARY = {
    "type": "object",
    "properties": {
        "total_processed": {"type": "integer"},
        "total_time_seconds": {"type": "number"},
        "status": STATUS,
        "failed_items": {"type": "integer"},
    },
}
STREAM_ERROR = {
    "type": "object",
    "properties": {"code": may_grow("ErrorCode"), "error": {"type": "string"}},
}


def event(kind: str, data: str, description: str) -> dict[str, Any]:
    """The envelope of one kind of event."""
    return {
        "type": "object",
        "description": description,
        "properties": {"event": {"type": "string", "const": kind}, "data": ref(data)},
    }


EVENTS = {"batch_complete": "BatchCompleteEvent", "complete": "CompleteEvent", "error": "ErrorEvent"}
ANSWERS: dict[str, Any] = {
    "ErrorCode": words(ERRORS, "Why a request was refused."),
    "ItemErrorCode": words(ITEM_ERRORS, "Why a text has no mark."),
    "Flag": words(FLAGS, "What to know of a text before its mark is trusted."),
    "JobStatus": words(Status, "Where a job is."),
    "ResultStatus": words(("ok", "failed"), "Whether there is a mark."),
    "RowProblemCode": words(ROW_PROBLEMS, "Why a row of a file can't be marked."),
    "Priority": words(Priority, "A job's share while several run."),
    "Error": complete(ERROR),
    "ItemError": complete(ITEM_ERROR),
    "Result": complete(RESULT, "expected_mark", "mark_probabilities", "share_kept", "provenance_id"),
    "Progress": complete(PROGRESS),
    "Provenance": PROVENANCE,
    "Job": complete(JOB),
    "Accepted": complete(ACCEPTED),
    "Results": complete(RESULTS),
    "Health": complete(HEALTH),
    "RowProblem": complete(PROBLEM),
    "TableRow": complete(TABLE_ROW),
    "TableFields": complete(TABLE_FIELDS),
    "TableError": complete(TABLE_ERROR),
    "Table": complete(TABLE),
    "Batch": complete(BATCH),
    "Summary": complete(SUMMARY),
    "StreamError": complete(STREAM_ERROR),
    "BatchCompleteEvent": complete(event("batch_complete", "Batch", "Ten results, the last time fewer.")),
    "CompleteEvent": complete(event("complete", "Summary", "The last event, whatever way the job ended.")),
    "ErrorEvent": complete(event("error", "StreamError", "The stream can't go on: the job has expired.")),
    "Event": {
        "description": "The data of each message of a job's stream.",
        "oneOf": [ref(name) for name in EVENTS.values()],
        "discriminator": {
            "propertyName": "event",
            "mapping": {kind: f"#/components/schemas/{name}" for kind, name in EVENTS.items()},
        },
    },
}
