"""What became of texts: results, what they were made with, and how far the others are."""

from typing import Any, Final

from orchestrator.api.components.shapes import (
    ANYTHING,
    COUNT,
    INDEX,
    may_grow,
    obj,
    or_null,
    ref,
    words,
    words_today,
)
from orchestrator.jobs.flags import FLAGS
from orchestrator.jobs.item_errors import ITEM_ERRORS

SHARE: Final = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
RESULT: Final[dict[str, Any]] = {
    "index": INDEX,
    "id_alumno": {"type": "string"},
    "nota": {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
    "feedback": {"type": ["string", "null"]},
    "status": ref("ResultStatus"),
    "error": or_null("ItemError", "Why there is no mark."),
    "flags": {"type": "array", "items": may_grow("Flag")},
    "attempts": COUNT,
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
}
# A version before these fields may have left the row.
NEWER: Final = ("expected_mark", "mark_probabilities", "share_kept", "provenance_id")
IDENTITY: Final[dict[str, Any]] = {"name": {"type": "string"}, "revision": {"type": "string"}}
MODEL: Final[dict[str, Any]] = {
    **IDENTITY,
    "weights": {"type": "string", "description": "A hash of the files of weights."},
    "weights_sampled": {
        "type": "string",
        "description": "A hash of the beginning and end of each, where they are over 1 GiB.",
    },
}
PROVENANCE: Final[dict[str, Any]] = {
    "id": {"type": "string"},
    "model": ref("ModelIdentity"),
    "tokenizer": ref("TokenizerIdentity"),
    "normalise_text": {"type": "boolean", "description": "Whether texts were brought to one form first."},
    "engine": {**ANYTHING, "description": "What vLLM was started with."},
    "template_sha256": {"type": "string"},
    "sampling": ANYTHING,
    "seed": {"type": "string"},
    "versions": {"type": "object", "additionalProperties": {"type": "string"}},
}
PROGRESS: Final[dict[str, Any]] = {
    "completed": COUNT,
    "total": COUNT,
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
}
MARKS: Final[dict[str, Any]] = {
    "ItemErrorCode": words_today(ITEM_ERRORS, "Why a text has no mark."),
    "Flag": words_today(FLAGS, "What to know of a text before its mark is trusted."),
    "ResultStatus": words(("ok", "failed"), "Whether there is a mark."),
    "ItemError": obj(
        {
            "code": may_grow("ItemErrorCode"),
            "message": {"type": "string", "description": "One clear sentence."},
        }
    ),
    "Result": obj(RESULT, optional=NEWER),
    "ModelIdentity": obj(MODEL, optional=MODEL),
    "TokenizerIdentity": obj(IDENTITY, optional=IDENTITY),
    "Provenance": obj(
        PROVENANCE,
        "Where marks come from: enough to defend one, or to make it again.",
        optional=set(PROVENANCE) - {"id"},
    ),
    "Progress": obj(PROGRESS),
}
