"""Tables of separated text."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from avalua_client.tables.encodings import decode
from avalua_client.tables.formulas import unguarded
from avalua_client.tables.headings import names_answer, plain, recognised
from avalua_client.tables.rows import make_table
from avalua_client.tables.table import Cell, Limits, Source, Table, TableError, blank

SEPARATORS = (";", ",", "\t", "|")
ONE_COLUMN = "\x1f"
"""Separates nothing: for a file of one column, whose texts hold what would separate others."""
SAMPLE_CHARS, SAMPLE_ROWS = 131_072, 100
MAX_EMPTY = 1 << 21
"""Empty rows in one place; a spreadsheet has half as many rows."""
OURS = frozenset({"nota", "feedback"})
"""Headings by which a file is known that we wrote, guarded against formulas."""
SAYS_SEPARATOR = "sep="
"""A first line of Excel's own, which it doesn't count as a row."""
OTHER_FORMATS = ("<!doctype", "<html", "<table", "<?xml", "{\\rtf")
"""What programs call .xls or .csv although it is none."""


def read_csv(data: bytes, encoding: str | None, separator: str | None, limits: Limits) -> Table:
    """Every cell is text, as it was written. Raises TableError."""
    text, found = decode(data, encoding)
    text = text.replace("\0", "\ufffd")
    if text[:1000].lstrip().lower().startswith(OTHER_FORMATS):
        raise TableError(
            "unsupported_workbook",
            "It is a page or a document: open it in a spreadsheet, save it as XLSX, and try again.",
        )
    head, line_end, _ = text[:20].partition("\n")
    if head.lower().startswith(SAYS_SEPARATOR) and line_end:
        said = head[len(SAYS_SEPARATOR) :].strip("\r\"' ") or "\t"
        separator, text = separator or said[0], text[len(head) + 1 :]
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise TableError("unknown_separator", "The separator must be one character, such as ; or , or a tab.")
    separator = separator or _find_separator(text)
    rows = _rows(text, separator, limits)
    notes = []
    if "\ufffd" in text:
        notes.append("some characters could not be read; is it another encoding?")
    if swallowed := _swallowed(rows, separator):
        notes.append(f"row {swallowed}: a cell holds what look like rows; is a quotation mark missing?")
    source = Source("csv", found, None if separator == ONE_COLUMN else separator)
    table = _without_stumps(make_table(rows, source, limits, notes=notes))
    if data.startswith(codecs.BOM_UTF8) and {plain(name) for name in table.columns} >= OURS:
        return _unguarded(table)
    return table


def _rows(text: str, separator: str, limits: Limits) -> list[list[str]]:
    if csv.field_size_limit() < limits.max_cell_chars:
        csv.field_size_limit(limits.max_cell_chars)
    rows: list[list[str]] = []
    held: list[str] = []  # the lines of the row that is being read

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            if line.count(separator) > limits.max_cells:
                raise _too_many_cells(limits)
            held.append(line)
            yield line

    cells, empty = 0, 0  # empty rows, of which a spreadsheet may leave a million at the end
    try:
        for row in csv.reader(lines(), delimiter=separator):
            number = len(rows) + empty + 1
            spans = len(held) > 1 or (row and row[-1].endswith(("\n", "\r")))
            if spans and not _quoted(held, separator):
                raise _unclosed(number)
            held.clear()
            if all(map(blank, row)):
                empty += 1
                if empty > MAX_EMPTY:
                    raise TableError("too_many_rows", "There are millions of empty rows: delete them.")
                continue
            if max(map(len, row)) > limits.max_cell_chars:
                raise _unclosed(number)
            cells += len(row)
            if cells > limits.max_cells:
                raise _too_many_cells(limits)
            rows += [[]] * empty
            rows.append(row)
            empty = 0
            if len(rows) > limits.max_rows + 1:
                break
    except csv.Error:
        raise _unclosed(len(rows) + empty + 1) from None
    return rows


def _quoted(lines: list[str], separator: str) -> bool:
    """Whether each quotation mark that begins a cell ends it, too: else it may end at that of a later row."""
    try:
        list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        return False
    return True


def _swallowed(rows: list[list[str]], separator: str) -> int:
    """The number of the first row with a cell whose lines look like rows of this file; 0 for none."""
    lengths = Counter(len(row) for row in rows)
    usual = lengths.most_common(1)[0][0] if lengths else 0
    for number, row in enumerate(rows, start=1):
        for cell in row:
            tellable = usual > (2 if separator == "," else 1)  # a comma stands in many a line
            inner = cell.split("\n")[1:] if tellable and "\n" in cell else ()
            if any(line.count(separator) == usual - 1 for line in inner):
                return number
    return 0


def _without_stumps(table: Table) -> Table:
    """Rows with cells behind the last heading, where most have none, were cut in a text: none gets a mark."""
    width = max((place + 1 for place, name in enumerate(table.columns) if name), default=0)
    cut = [place for place, row in enumerate(table.rows) if not all(map(blank, row[width:]))]
    if 2 * len(cut) > sum(not all(map(blank, row)) for row in table.rows):
        return table  # a column without a heading
    why = "the row has more cells than there are headings: is a text with the separator in it not in quotes?"
    stumps = {(place, column): why for place in cut for column in range(width)}
    return replace(table, unreadable={**table.unreadable, **stumps})


def _too_many_cells(limits: Limits) -> TableError:
    return TableError("too_many_cells", f"There are more than {limits.max_cells} cells in the file.")


def _unclosed(row: int) -> TableError:
    return TableError(
        "unclosed_quote",
        f"Row {row}: a quotation mark is opened and not closed, or a cell is far too long; mend that cell.",
        {"row": row},
    )


def _find_separator(text: str) -> str:
    """By whether headings are known, whether rows are equally long, and how long they are."""
    sample = text[:SAMPLE_CHARS]
    head = next((line for line in sample.splitlines() if line.strip()), "")
    if names_answer(plain(head)) and not any(one in head for one in SEPARATORS):
        return ONE_COLUMN
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    return max((*SEPARATORS, ONE_COLUMN), key=lambda one: _score(sample, one))


def _score(sample: str, separator: str) -> tuple[int, float, int]:
    rows = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator):
            if not all(blank(cell) for cell in row):
                rows.append(row)
            if len(rows) == SAMPLE_ROWS:
                break
    except csv.Error:
        pass
    if not rows:  # but such as are empty
        return 0, 1.0, 0
    alone = separator == ONE_COLUMN
    known = max((recognised(row) for row in rows[:20] if alone or len(row) > 1), default=0)
    if alone:
        return known, 0.5, 1
    lengths = Counter(len(row) for row in rows if len(row) > 1)
    if not lengths:
        return 0, 0.0, 0
    length, count = lengths.most_common(1)[0]
    return known, count / len(rows), length


def _unguarded(table: Table) -> Table:
    def restored(rows: Sequence[Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
        return tuple(
            tuple(unguarded(cell) if isinstance(cell, str) else cell for cell in row) for row in rows
        )

    return replace(
        table,
        columns=tuple(unguarded(name) for name in table.columns),
        rows=restored(table.rows),
        preamble=restored(table.preamble),
    )
