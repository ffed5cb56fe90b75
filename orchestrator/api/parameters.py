"""The parameters of the API's calls, described."""

from typing import Any, Final

from orchestrator.api.components.shapes import ref
from orchestrator.api.exports.columns import ALL_COLUMNS
from orchestrator.api.exports.formats import MEDIA_TYPES
from orchestrator.api.table_options import FIELDS, MAX_CHARS

JOB_ID: Final[dict[str, Any]] = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
    "description": "The id that `POST /evaluate` answered.",
}
KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    # Blanks around a header's value are no part of it.
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "description": "A repeated POST with the same key returns the first job.",
}
_AFTER: Final = {
    "schema": {"type": "string", "pattern": "^[0-9]{0,9}$"},
    "description": "Go on behind this event; empty means from the first.",
}
LAST_IDS: Final[list[dict[str, Any]]] = [
    {"name": "Last-Event-ID", "in": "header", **_AFTER},
    {"name": "last_event_id", "in": "query", **_AFTER},
]
FORMAT: Final[dict[str, Any]] = {
    "name": "format",
    "in": "query",
    "schema": {"type": "string", "enum": list(MEDIA_TYPES)},
    "description": "Else the `Accept` header says which one.",
}
TABLE_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "columns",
        "in": "query",
        "schema": {"type": "string"},
        "description": f"For csv and xlsx: some of {', '.join(ALL_COLUMNS)}; with commas, in your order.",
    },
    {
        "name": "locale",
        "in": "query",
        "schema": {"type": "string", "examples": ["ca", "es-MX"]},
        "description": "For csv: the separator and the decimal sign of a language's spreadsheets.",
    },
]
_OPTION: Final = {"type": "string", "minLength": 1, "maxLength": MAX_CHARS}
FILE_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": name,
        "in": "query",
        "schema": ref("Priority") if name == "priority" else _OPTION,
        "description": f"For a CSV or XLSX: {words}",
    }
    for name, words in {
        "encoding": "the encoding of a CSV, where another one was found.",
        "separator": "the separator of a CSV, where another one was found; `tab` is one.",
        "sheet": "the sheet of a workbook, where it is not the first one.",
        "curso": "of all texts, where the file has no such column.",
        "consigna": "of all texts, where the file has no such column.",
        **{f"column.{one}": f"the column of `{one}`: its heading, letter or number." for one in FIELDS},
        "priority": "the job's share while several run.",
    }.items()
]
