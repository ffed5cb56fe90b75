"""Tables of JSON objects: one list, or one object a line."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, Literal

from avalua_client.tables.encodings import decode
from avalua_client.tables.rows import make_table
from avalua_client.tables.table import Cell, Limits, Source, Table, TableError


def read_json(data: bytes, kind: Literal["json", "ndjson"], encoding: str | None, limits: Limits) -> Table:
    """Columns are all names, in the order in which they first stand. Raises TableError."""
    text, found = decode(data, encoding)
    objects = _lines(text) if kind == "ndjson" else _list(text)
    names: dict[str, int] = {}
    for number, one in enumerate(objects, start=1):
        if not isinstance(one, dict):
            raise TableError("invalid_json", f'Entry {number} is no object such as {{"respuesta": "..."}}.')
        for name in one:
            names.setdefault(name, len(names))
        if len(names) > limits.max_columns:
            raise TableError(
                "too_many_columns", f"There are more than {limits.max_columns} names in the objects."
            )
    if not objects:
        raise TableError("empty_table", "There is nothing in the file.")
    rows: list[list[Cell]] = [list(names)]
    rows += [[_cell(one.get(name)) for name in names] for one in objects]
    # The headings are no row of the file.
    return make_table(rows, Source(kind, found), limits, first_number=0, header=0)


def _list(text: str) -> list[Any]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError("invalid_json", f"The file is no JSON: {_why(error)}.") from None
    if isinstance(whole, dict) and isinstance(whole.get("items"), list):
        whole = whole["items"]
    if not isinstance(whole, list):
        raise TableError("invalid_json", 'The file must hold a list of objects, or {"items": [...]}.')
    return whole


def _lines(text: str) -> list[Any]:
    objects = []
    # Not splitlines: other characters than line feeds may stand inside of a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                objects.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise TableError("invalid_json", f"Line {number} is no JSON: {_why(error)}.") from None
    return objects


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it holds a number without end"


def _cell(value: Any) -> Cell:
    if isinstance(value, float) and not isfinite(value):
        return None  # no spreadsheet has such a number
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return json.dumps(value, ensure_ascii=False)
