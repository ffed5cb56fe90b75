"""The one shape of all error answers, and the words for programs."""

from typing import Any, Final

from orchestrator.api.codes import ERRORS, ROW_PROBLEMS
from orchestrator.api.components.shapes import (
    COLUMN,
    COUNT,
    INDEX_OR_NULL,
    ROW,
    may_grow,
    obj,
    or_null,
    ref,
    words_today,
)

DETAILS: Final[dict[str, Any]] = {
    "total": {**COUNT, "description": "How many problems there are; the first are listed."},
    "problems": {"type": "array", "items": ref("RequestProblem")},
    "line": {"type": "integer", "minimum": 1, "description": "Of what is no JSON."},
    "column": {"type": "integer", "minimum": 1},
    "index": INDEX_OR_NULL,
    "max_items": COUNT,
    "max_bytes": COUNT,
}
PROBLEM: Final[dict[str, Any]] = {
    "message": {"type": "string"},
    "index": INDEX_OR_NULL,
    "field": {"type": ["string", "null"]},
    "row": ROW,
    "column": COLUMN,
    "code": may_grow("RowProblemCode"),
}
REFUSALS: Final[dict[str, Any]] = {
    "ErrorCode": words_today(ERRORS, "Why a request was refused."),
    "RowProblemCode": words_today(ROW_PROBLEMS, "Why a row of a file can't be marked."),
    "Error": obj(
        {
            "error": {"type": "string", "description": "One clear sentence."},
            "code": {**may_grow("ErrorCode"), "description": "The same for programs."},
            "details": or_null("ErrorDetails", "More where there is more to say."),
        }
    ),
    "ErrorDetails": {
        **obj(DETAILS, "It depends on the code; `problems` go with `invalid_items`.", optional=DETAILS),
        "additionalProperties": True,
    },
    "RequestProblem": obj(
        PROBLEM,
        "What is wrong at one place: `index` and `field` of an item, `row` and `column` of a file.",
        optional=set(PROBLEM) - {"message"},
    ),
}
