"""A table that was read, and what can be wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Cell = str | int | float | bool | None
"""Text where the eye sees text: dates as ISO 8601, numbers that are shown with zeros in front."""
Kind = Literal["csv", "xlsx", "json", "ndjson"]


class TableError(Exception):
    """A file that can't be used. ``message`` is one sentence that says what to do."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details or {}


@dataclass(frozen=True)
class Limits:
    """What a file may take. Bytes, cells, characters, seconds."""

    max_bytes: int = 64 << 20
    max_unpacked_bytes: int = 64 << 20
    max_ratio: int = 20
    """So many times its own size a workbook may unpack to."""
    max_rows: int = 200_000
    max_columns: int = 200
    max_cells: int = 2_000_000
    max_cell_chars: int = 100_000
    seconds: float = 20.0
    memory_bytes: int = 1 << 30
    """Of the process that reads a workbook."""


@dataclass(frozen=True)
class Source:
    """How a file was read."""

    kind: Kind
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None
    sheets: tuple[str, ...] = ()
    """All sheets of a workbook that can be seen."""
    header_row: int = 1
    """The row of the headings, as a spreadsheet numbers rows."""


@dataclass(frozen=True)
class Table:
    """Rows as they were, each as long as ``columns``.

    ``preamble`` are the rows above the headings. ``shown`` has what the eye sees in a cell, by (place in
    ``rows``, column), where the cell itself holds something else: nothing, as a part of a merged one, or the
    number behind ``50%``. ``unreadable`` has, the same way, why a cell's value is not known. ``notes`` are
    for people.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    row_numbers: tuple[int, ...]
    source: Source
    notes: tuple[str, ...] = ()
    preamble: tuple[tuple[Cell, ...], ...] = ()
    shown: Mapping[tuple[int, int], Cell] = field(default_factory=dict)
    unreadable: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def value(self, row: int, column: int) -> Cell:
        """What the eye sees there."""
        return self.shown.get((row, column), self.rows[row][column])


def blank(cell: Cell) -> bool:
    """Whether nothing can be seen in it."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def letter(column: int) -> str:
    """What a spreadsheet calls a column: A for 0."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
