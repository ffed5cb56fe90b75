"""The items in a table, each with its row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from avalua_client.tables.headings import Columns, plain
from avalua_client.tables.table import Cell, Table, TableError, blank, letter

ERROR = re.compile(r"#[A-ZÀ-Ü¡¿/0]{2,12}[!?]|#N/[AD]|Err:[0-9]{3}")
"""What spreadsheets show instead of a value, and write to a CSV as if it were one."""


@dataclass(frozen=True)
class Problem:
    """A row that can't be marked; ``row`` as a spreadsheet numbers it."""

    row: int
    column: str | None
    code: str
    message: str


@dataclass(frozen=True)
class Prepared:
    """``items`` as the service takes them, ``rows`` the place in the table's rows of each."""

    items: list[dict[str, Any]]
    rows: list[int]
    problems: list[Problem]


def prepare(
    table: Table, columns: Columns, *, curso: str | None = None, consigna: str | None = None
) -> Prepared:
    """The items of all rows that hold any. Empty rows are none, nor are those without course and text.

    ``curso`` and ``consigna`` are for tables without such a column. A student without an id gets the row's
    number. A blank answer is an item, whose result says so. Raises TableError (``missing_column``).
    """
    given = {"curso": curso, "consigna": consigna}
    for name, value in given.items():
        if getattr(columns, name) is None and blank(value):
            raise TableError(
                "missing_column",
                f"No column is called {name} or alike: say which one it is, or give one for all texts.",
                {"field": name, "columns": list(table.columns)},
            )
    found = Prepared([], [], [])
    for place in range(len(table.rows)):
        number = table.row_numbers[place]
        # A row that holds anything is a student's, also where only the answer's column is known.
        if all(blank(table.value(place, column)) for column in range(len(table.columns))):
            continue
        problem = _problem(table, columns, place, number)
        if problem is not None:
            found.problems.append(problem)
            continue
        student = None if columns.id_alumno is None else table.value(place, columns.id_alumno)
        item = {"id_alumno": str(number) if blank(student) else text(student).strip()}
        for name, value in given.items():
            column = getattr(columns, name)
            item[name] = text(value if column is None else table.value(place, column))
        item["respuesta"] = text(table.value(place, columns.respuesta))
        found.items.append(item)
        found.rows.append(place)
    return found


def text(cell: Cell) -> str:
    """A cell as the text that the eye sees."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, float):
        return f"{cell:.15g}"  # a spreadsheet has no more digits, and shows 0.3 for 0.1 + 0.2
    return str(cell)


def _used(columns: Columns) -> list[int]:
    places = (columns.respuesta, columns.id_alumno, columns.curso, columns.consigna)
    return [place for place in places if place is not None]


def _problem(table: Table, columns: Columns, place: int, number: int) -> Problem | None:
    for column in _used(columns):
        why = table.unreadable.get((place, column))
        if why is None and ERROR.fullmatch(str(table.value(place, column)).strip()):
            why = f"shows {table.value(place, column)}"
        if why is not None:
            name = letter(column)
            return Problem(
                number, name, "unreadable_cell", f"Cell {name}{number} is not known ({why}): type its value."
            )
    used = _used(columns)
    if len(used) > 1 and all(plain(table.value(place, one)) == plain(table.columns[one]) for one in used):
        return Problem(number, None, "not_an_item", "The row repeats the headings: it was left out.")
    needed = [(name, getattr(columns, name)) for name in ("curso", "consigna")]
    missing = [
        (name, column) for name, column in needed if column is not None and blank(table.value(place, column))
    ]
    if not missing:
        return None
    if blank(table.value(place, columns.respuesta)):
        return Problem(number, None, "not_an_item", "The row holds no text to mark: it was left out.")
    name, column = missing[0]
    return Problem(
        number, letter(column), "empty_cell", f"Cell {letter(column)}{number} ({name}) is empty: fill it in."
    )
