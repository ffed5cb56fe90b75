"""Files of spreadsheets, as they were read."""

from typing import Any, Final

from orchestrator.api.components.shapes import COLUMN, COUNT, ROW, may_grow, obj, or_null, ref, words

TEXTS: Final = {"type": "array", "items": {"type": "string"}}
TEXT_OR_NULL: Final = {"type": ["string", "null"]}
PLACE: Final = {"type": ["integer", "null"], "minimum": 0}
CELL: Final = {"type": ["string", "number", "boolean", "null"]}
TABLE: Final[dict[str, Any]] = {
    "kind": words(("csv", "xlsx"), "What the file is."),
    "encoding": {**TEXT_OR_NULL, "description": "Of a CSV, as found or asked for."},
    "separator": TEXT_OR_NULL,
    "sheet": {**TEXT_OR_NULL, "description": "Of a workbook: the one that was read."},
    "sheets": {**TEXTS, "description": "All that can be seen."},
    "header_row": {"type": "integer"},
    "columns": {**TEXTS, "description": "The headings."},
    "fields": or_null("TableFields", "Which column holds a field; null where `error` says why not."),
    "rows": {"type": "array", "items": ref("TableRow")},
    "items": {"type": ["integer", "null"], "description": "How many texts there are to mark."},
    "problems": {"type": "array", "items": ref("RowProblem"), "description": "Rows without a mark."},
    "error": or_null("TableError", "Why it is not clear which column holds what."),
    "notes": TEXTS,
}
FILES: Final[dict[str, Any]] = {
    "RowProblem": obj(
        {
            "row": ROW,
            "column": COLUMN,
            "code": may_grow("RowProblemCode"),
            "message": {"type": "string", "description": "One sentence that says what to do."},
        }
    ),
    "TableRow": obj({"row": ROW, "cells": {"type": "array", "items": CELL}}),
    "TableFields": obj(
        {"respuesta": COUNT, "id_alumno": PLACE, "curso": PLACE, "consigna": PLACE},
        "Columns, counted from 0.",
    ),
    "TableError": obj({"code": may_grow("ErrorCode"), "message": {"type": "string"}}),
    "Table": obj(TABLE),
}
