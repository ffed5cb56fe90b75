"""A table as it was read, with the marks beside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from avalua_client.tables.csv_writing import CsvTable
from avalua_client.tables.locales import find_locale
from avalua_client.tables.table import Cell, Kind, Table
from avalua_client.tables.xlsx_writing import XlsxTable

COLUMNS = ("nota", "feedback", "status", "error", "flags", "confidence")
"""Of a result, in this order, behind the table's own."""
OURS = " (Avalua)"
"""Behind a heading that the table has already."""


def write(
    table: Table,
    results: Mapping[int, Mapping[str, Any]],
    *,
    kind: Kind,
    locale: str = "ca",
    columns: Sequence[str] = COLUMNS,
) -> bytes:
    """All rows and columns in their order, and beside each row its result, by place in ``table.rows``.

    ``locale`` says how a CSV separates cells and writes decimals. Raises TableError.
    """
    width = len(table.columns)
    headings = (*table.columns, *_free(table.columns, columns))
    rows = (
        [*row, *(mark(results.get(place), name) for name in columns)] for place, row in enumerate(table.rows)
    )
    if kind in ("json", "ndjson"):
        names = _named(headings, width)
        objects = (
            dict(zip(names, [*row, *((results.get(place) or {}).get(name) for name in columns)], strict=True))
            for place, row in enumerate(table.rows)
        )
        return _as_json(objects, kind)
    if kind == "csv":
        made = CsvTable(headings, find_locale(locale), table.preamble)
        return b"".join([*made.add(rows), *made.finish()])
    with closing(XlsxTable(headings, table.preamble)) as book:
        return b"".join([*book.add(rows), *book.finish()])


def mark(result: Mapping[str, Any] | None, name: str) -> Cell:
    """One cell of a result; None where there is none."""
    if result is None:
        return None
    value = result.get(name)
    if name == "error":
        return None if value is None else f"{value['code']}: {value['message']}"
    if isinstance(value, (list, tuple)):
        return " ".join(str(one) for one in value) or None
    return value


def _free(taken: Iterable[str], columns: Sequence[str]) -> list[str]:
    """Headings that the table doesn't have: it may hold the marks of an earlier run."""
    known = {name.casefold() for name in taken}
    free = []
    for column in columns:
        name, number = column, 1
        while name.casefold() in known:
            name = f"{column}{OURS}" if number == 1 else f"{column}{OURS} {number}"
            number += 1
        known.add(name.casefold())
        free.append(name)
    return free


def _named(headings: Sequence[str], width: int) -> list[str]:
    """Names for an object: each once, and none empty."""
    names: list[str] = []
    for place, heading in enumerate(headings):
        name = heading or f"column {place + 1}"
        while name in names[:width] or name in names[width:]:
            name += "_"
        names.append(name)
    return names


def _as_json(objects: Iterator[dict[str, Any]], kind: str) -> bytes:
    lines = (json.dumps(one, ensure_ascii=False) for one in objects)
    text = "".join(f"{line}\n" for line in lines) if kind == "ndjson" else f"[{','.join(lines)}]\n"
    return text.encode("utf-8", "replace")
