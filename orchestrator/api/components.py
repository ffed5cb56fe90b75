"""The shapes of what the API answers, as JSON Schema. What it takes lies in schemas.py."""

from typing import Any

from orchestrator.jobs import Status

ERROR = {
    "type": "object",
    "required": ["error", "code", "details"],
    "properties": {
        "error": {"type": "string", "description": "One clear sentence."},
        "code": {"type": "string", "description": "The same for programs, in snake_case."},
        "details": {"description": "More where there is more to say, or null."},
    },
}
SHARE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
RESULT = {
    "type": "object",
    "required": [
        "index",
        "id_alumno",
        "nota",
        "feedback",
        "status",
        "error",
        "flags",
        "attempts",
        "confidence",
    ],
    "properties": {
        "index": {"type": "integer", "minimum": 0, "description": "The item's place in the request."},
        "id_alumno": {"type": "string"},
        "nota": {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
        "feedback": {"type": ["string", "null"]},
        "status": {"type": "string", "enum": ["ok", "failed"]},
        "error": {
            "type": ["object", "null"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
        "flags": {"type": "array", "items": {"type": "string"}},
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
    "required": ["row", "column", "code", "message"],
    "properties": {
        "row": {"type": "integer", "description": "As a spreadsheet numbers rows."},
        "column": {"type": ["string", "null"], "description": "Its letter."},
        "code": {"type": "string"},
        "message": {"type": "string", "description": "One sentence that says what to do."},
    },
}
PLACE = {"type": ["integer", "null"], "minimum": 0}
TABLE = {
    "type": "object",
    "required": [
        "kind", "encoding", "separator", "sheet", "sheets", "header_row", "columns", "fields", "rows",
        "items", "problems", "error", "notes",
    ],
    "properties": {
        "kind": {"type": "string", "enum": ["csv", "xlsx"]},
        "encoding": {"type": ["string", "null"], "description": "Of a CSV, as found or asked for."},
        "separator": {"type": ["string", "null"]},
        "sheet": {"type": ["string", "null"], "description": "Of a workbook: the one that was read."},
        "sheets": {"type": "array", "items": {"type": "string"}, "description": "All that can be seen."},
        "header_row": {"type": "integer"},
        "columns": {"type": "array", "items": {"type": "string"}, "description": "The headings."},
        "fields": {
            "type": ["object", "null"],
            "description": "Which column holds a field, counted from 0; null where `error` says why not.",
            "properties": {
                "respuesta": {"type": "integer", "minimum": 0},
                "id_alumno": PLACE, "curso": PLACE, "consigna": PLACE,
            },
        },
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["row", "cells"],
                "properties": {
                    "row": {"type": "integer"},
                    "cells": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
                },
            },
        },
        "items": {"type": ["integer", "null"], "description": "How many texts there are to mark."},
        "problems": {"type": "array", "items": PROBLEM, "description": "Rows that can't be marked."},
        "error": {
            "type": ["object", "null"],
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
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
STATUS = {"type": "string", "enum": [status.value for status in Status]}
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
        "priority": {"type": "string"},
        "progress": {"$ref": "#/components/schemas/Progress"},
        "failed_items": {"type": "integer"},
        "created_at": MOMENT,
        "started_at": MOMENT,
        "finished_at": MOMENT,
        "expires_at": MOMENT,
        "provenance": {
            "anyOf": [{"$ref": "#/components/schemas/Provenance"}, {"type": "null"}],
            "description": "What the marks are made with; null before the first of them.",
        },
        "earlier_provenances": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Provenance"},
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
        "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
        "provenances": {
            "type": "object",
            "description": "What the marks were made with, by its id.",
            "additionalProperties": {"$ref": "#/components/schemas/Provenance"},
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
ANSWERS: dict[str, Any] = {
    "Error": ERROR,
    "Result": RESULT,
    "Progress": PROGRESS,
    "Provenance": PROVENANCE,
    "Job": JOB,
    "Accepted": ACCEPTED,
    "Results": RESULTS,
    "Health": HEALTH,
    "Table": TABLE,
}
