"""Reads one workbook from the standard input, under limits of its own; writes JSON to the standard output.

A program of its own, started by ``xlsx_reading``: it imports nothing of this package.
"""

from __future__ import annotations

import io
import json
import re
import sys
import warnings
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from math import isfinite
from typing import Any

TOKEN = re.compile(
    r'\[[^\]$][^\]]*\]|\[\$-[^\]]*\]|_.|\*.|"([^"]*)"|\\(.)|([0#?])|([-+/(): ])|(;)|(.)', re.DOTALL
)
ESCAPED = re.compile(r"_x005F(_x[0-9A-Fa-f]{4}_)|_x(00[01][0-9A-Fa-f])_")
"""Control characters as Excel writes them, and typed text that looks so. Of a shared string openpyxl drops
what tells one from the other."""
PERCENT = re.compile(r"0(\.0+)?%")
EXACT = 10**15
"""What spreadsheets compute with has no more digits; what has more is a code of digits."""
TIME_OF_DAY = re.compile(r"[hHsS]|AM/PM")
MAX_MERGED = 100_000
"""Cells of merged ranges that are filled."""
MAX_NAMED = 5
MAX_SHEETS, HEAD_ROWS, HEAD_CHARS = 20, 20, 100
"""Of the beginnings of sheets, by which the one with the answers is found."""


class RefusedError(Exception):
    """The workbook can't be used."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


def limit(wishes: dict[str, Any]) -> None:
    """Have the system end this process where it takes too much; where it can't, the parent's clock does."""
    try:
        import resource  # noqa: PLC0415
    except ImportError:
        return
    with suppress(ValueError, OSError):
        seconds = int(wishes["seconds"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (wishes["memory_bytes"], wishes["memory_bytes"]))


def read(data: bytes, wishes: dict[str, Any]) -> dict[str, Any]:
    """The rows of one sheet, and what is to be said of it."""
    import openpyxl  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True, keep_links=False)
    if not book.worksheets:
        words = "There is no ordinary sheet in the workbook: save it as XLSX (not Strict), and try again."
        raise RefusedError("unsupported_workbook", words)
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    hidden = [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]
    chosen = choose(book.worksheets, sheets, wishes["sheet"])
    cells = {place: cell for place, cell in chosen._cells.items() if cell.value is not None}
    if not cells:
        raise RefusedError("empty_table", f"There is nothing in the sheet {chosen.title}.")
    height, width = max(row for row, _ in cells), max(column for _, column in cells)
    check(height, width, wishes)
    rows: list[list[Any]] = [[] for _ in range(height)]
    unreadable, shown = [], []
    for (row, column), cell in sorted(cells.items()):
        line = rows[row - 1]
        line.extend([None] * (column - 1 - len(line)))
        value = plain(cell)
        if isinstance(value, str) and len(value) > wishes["max_cell_chars"]:
            raise RefusedError("cell_too_long", f"Cell {cell.coordinate} is too long to be an answer.")
        if cell.data_type == "e":
            unreadable.append([row - 1, column - 1, f"shows {value}"])
        line.append(value)
        if (percent := PERCENT.fullmatch(cell.number_format)) and isinstance(value, (int, float)):
            shown.append([row - 1, column - 1, f"{value:.{len(percent[1] or '.') - 1}%}"])
    unreadable += [
        [row - 1, column - 1, "a formula whose value the file doesn't hold"]
        for row, column in formulas(data, chosen.title)
        # A formula whose value is an empty text is of the type of texts.
        if (row, column) not in cells
        and chosen._cells[row, column].data_type != "str"
        and row <= height
        and column <= wishes["max_columns"]
    ]
    notes = []
    if hidden:
        notes.append(f"hidden sheets were not read: {', '.join(hidden[:MAX_NAMED])}")
    others = [sheet.title for sheet in sheets if sheet.title != chosen.title and sheet._cells]
    if others:
        notes.append(f"other sheets were not read: {', '.join(others[:MAX_NAMED])}")
    unseen = [row for row, what in chosen.row_dimensions.items() if what.hidden and row <= height]
    if unseen:
        notes.append(f"{len(unseen)} hidden rows were read, too (the first is {min(unseen)})")
    return {
        "sheet": chosen.title,
        "sheets": [sheet.title for sheet in sheets],
        "heads": [[sheet.title, head(sheet)] for sheet in sheets[:MAX_SHEETS] if sheet._cells],
        "rows": rows,
        "shown": shown + merged(chosen, rows),
        "unreadable": unreadable,
        "notes": notes,
    }


def choose(every: list[Any], visible: list[Any], wanted: str | None) -> Any:
    if wanted is not None:
        for sheet in every:
            if sheet.title.strip().casefold() == wanted.strip().casefold():
                return sheet
        names = ", ".join(sheet.title for sheet in visible[:MAX_NAMED])
        raise RefusedError("unknown_sheet", f"There is no sheet {wanted!r}; there are {names}.")
    for sheet in visible:
        if any(cell.value is not None for cell in sheet._cells.values()):
            return sheet
    if len(visible) < len(every):
        words = "There is nothing in the sheets that can be seen: show the others, or say which one it is."
        raise RefusedError("empty_table", words)
    raise RefusedError("empty_table", "There is nothing in the workbook's sheets.")


def head(sheet: Any) -> list[list[str]]:
    """The texts of the first rows."""
    rows: dict[int, list[str]] = {}
    for (row, _), cell in sorted(sheet._cells.items()):
        if isinstance(cell.value, str):
            if row not in rows and len(rows) == HEAD_ROWS:
                break
            rows.setdefault(row, []).append(cell.value[:HEAD_CHARS])
    return list(rows.values())


def check(height: int, width: int, wishes: dict[str, Any]) -> None:
    for count, most, what in (
        (height, wishes["max_rows"], "rows"),
        (width, wishes["max_columns"], "columns"),
        (height * width, wishes["max_cells"], "cells"),
    ):
        if count > most:
            raise RefusedError(f"too_many_{what}", f"There are {count} {what}; at most {most} are read.")


def plain(cell: Any) -> Any:
    """A value as the eye sees it, where a bare number would say something else."""
    value = cell.value
    if isinstance(value, str):
        value = ESCAPED.sub(lambda found: found[1] or chr(int(found[2], 16)), value)
        return value.replace("\r\n", "\n").replace("\r", "\n")
    if isinstance(value, bool):
        return value
    if isinstance(value, datetime):
        whole = not (value.hour or value.minute or value.second) and not TIME_OF_DAY.search(
            cell.number_format
        )
        return value.date().isoformat() if whole else value.isoformat(" ", timespec="seconds")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 0 else str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    if isinstance(value, int) and value >= 0 and (shown := with_zeros(value, cell.number_format)):
        return shown
    if isinstance(value, int) and abs(value) >= EXACT:
        return str(value)
    return value if isinstance(value, (int, float)) and isfinite(value) else str(value)


def with_zeros(value: int, number_format: str) -> str:
    """What a format such as ``0000``, ``00-00`` or ``"A"000`` shows of a number; empty for other formats."""
    shape: list[tuple[bool, str]] = []
    for quoted, escaped, digit, sign, end, other in TOKEN.findall(number_format):
        if other:
            return ""
        if end:
            break
        shape.append((bool(digit), digit or quoted or escaped or sign))
    zeros = shape.count((True, "0"))
    if zeros < 2:
        return ""
    digits = list(str(value).zfill(zeros))
    made = []
    left = sum(is_digit for is_digit, _ in shape)
    for is_digit, text in reversed(shape):
        if not is_digit:
            made.append(text)
            continue
        left -= 1
        made.append("".join(digits) if left == 0 else digits.pop() if digits else "")
    return "".join(reversed(made)).strip()


def merged(sheet: Any, rows: list[list[Any]]) -> list[list[Any]]:
    """What the eye sees in the other cells of a merged range: the value of its first one."""
    found: list[list[Any]] = []
    for area in sheet.merged_cells.ranges:
        top, left = area.min_row - 1, area.min_col - 1
        if top >= len(rows) or left >= len(rows[top]) or rows[top][left] is None:
            continue
        for row in range(top, min(area.max_row, len(rows))):
            for column in range(left, area.max_col):
                if (row, column) != (top, left):
                    found.append([row, column, rows[top][left]])
                if len(found) > MAX_MERGED:
                    raise RefusedError("too_many_cells", "Far too many cells are merged: undo that.")
    return found


def formulas(data: bytes, title: str) -> list[tuple[int, int]]:
    """Where formulas stand."""
    import openpyxl  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=False, keep_links=False)
    return [place for place, cell in book[title]._cells.items() if cell.data_type == "f"]


def main() -> None:
    wishes = json.loads(sys.argv[1])
    sys.path[:] = wishes["path"]
    try:
        import openpyxl  # noqa: F401, PLC0415  before the limits, which are for what a file makes of it

        limit(wishes)
        answer = read(sys.stdin.buffer.read(), wishes)
    except RefusedError as error:
        answer = {"error": {"code": error.code, "message": error.message, "details": error.details}}
    except MemoryError:
        words = "The workbook takes more memory than allowed: save only the sheet to be marked, or a CSV."
        answer = {"error": {"code": "workbook_too_large", "message": words}}
    except ImportError as error:
        words = f"Workbooks can't be read here, since a package is missing: pip install {error.name}."
        answer = {"error": {"code": "unsupported_workbook", "message": words}}
    except Exception:  # noqa: BLE001  whatever a stranger's file makes of a library
        words = "The workbook is damaged: open it in a spreadsheet, save it as XLSX anew, and try again."
        answer = {"error": {"code": "damaged_workbook", "message": words}}
    sys.stdout.buffer.write(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
