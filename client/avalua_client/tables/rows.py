"""Rows of any file into a table: where the headings are, and how long each row is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avalua_client.tables.headings import are_headings, recognised
from avalua_client.tables.table import Cell, Limits, Source, Table, TableError, blank

MAX_ROWS_ABOVE = 20
"""So far down headings are looked for."""


def make_table(
    rows: Sequence[Sequence[Cell]],
    source: Source,
    limits: Limits,
    *,
    notes: Sequence[str] = (),
    shown: Mapping[tuple[int, int], Cell] | None = None,
    unreadable: Mapping[tuple[int, int], str] | None = None,
    first_number: int = 1,
    header: int | None = None,
) -> Table:
    """Of all rows of a file. ``shown`` and ``unreadable`` are by place in ``rows``. Raises TableError."""
    shown, unreadable = shown or {}, unreadable or {}
    rows = [[_whole(cell) for cell in row] for row in rows]
    last = len(rows)
    while last and all(blank(cell) for cell in rows[last - 1]):
        last -= 1
    rows = rows[:last]
    first = next((place for place, row in enumerate(rows) if not all(map(blank, row))), None)
    if first is None:
        raise TableError("empty_table", "There is nothing in the file.")
    width = _width(rows)
    _check(rows, width, limits)

    def seen(place: int) -> list[Cell]:
        cells = [*rows[place], *[None] * (width - len(rows[place]))][:width]
        return [shown.get((place, column)) if blank(cell) else cell for column, cell in enumerate(cells)]

    if header is None:
        header = _find_header(len(rows), first, seen)
    headings = seen(header)
    if first_number and not recognised(headings):
        notes = (*notes, f"row {header + first_number} was taken for the headings")
    body = [tuple([*row, *[None] * (width - len(row))][:width]) for row in rows[header + 1 :]]
    for column in range(width):
        # A heading may be merged over columns of which one holds anything.
        own = rows[header][column : column + 1]
        if all(map(blank, own)) and all(blank(row[column]) for row in body):
            headings[column] = None
    columns = tuple("" if cell is None else " ".join(str(cell).split()) for cell in headings)
    if len(rows) == header + 1:
        raise TableError("no_rows", "There are headings in the file, and no rows below them.")
    return Table(
        columns,
        tuple(body),
        tuple(range(header + 1 + first_number, len(rows) + first_number)),
        Source(
            source.kind,
            source.encoding,
            source.separator,
            source.sheet,
            source.sheets,
            header + first_number,
        ),
        tuple(notes),
        tuple(tuple(row) for row in rows[:header]),
        _below(shown, header + 1),
        _below(unreadable, header + 1),
    )


def _below(cells: Mapping[tuple[int, int], Any], header: int) -> dict[tuple[int, int], Any]:
    return {(row - header, column): what for (row, column), what in cells.items() if row >= header}


def _width(rows: Sequence[Sequence[Cell]]) -> int:
    """Up to the last column in which anything stands."""
    width = 1
    for row in rows:
        last = len(row)
        while last > width and blank(row[last - 1]):
            last -= 1
        width = max(width, last)
    return width


def _find_header(count: int, first: int, seen: Callable[[int], list[Cell]]) -> int:
    """The first row that names the answers' column and another one, or else the first that holds any."""
    for place in range(first, min(count, first + MAX_ROWS_ABOVE)):
        if are_headings(seen(place), alone=place == first):
            return place
    return first


def _whole(cell: Cell) -> Cell:
    """Half a character, such as a cut emoji leaves, is none."""
    if not isinstance(cell, str) or cell.isascii():
        return cell
    try:
        cell.encode()
    except UnicodeEncodeError:
        return cell.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return cell


def _check(rows: Sequence[Sequence[Cell]], width: int, limits: Limits) -> None:
    if len(rows) > limits.max_rows:
        raise TableError("too_many_rows", f"There are {len(rows)} rows; at most {limits.max_rows} are read.")
    if width > limits.max_columns:
        raise TableError(
            "too_many_columns", f"There are {width} columns; at most {limits.max_columns} are read."
        )
    if len(rows) * width > limits.max_cells:
        raise TableError(
            "too_many_cells", f"There are {len(rows) * width} cells; at most {limits.max_cells} are read."
        )
