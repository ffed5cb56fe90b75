"""Tables of separated text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import replace

from avalua_client.tables.encodings import decode
from avalua_client.tables.formulas import unguarded
from avalua_client.tables.headings import names_answer, plain, recognised
from avalua_client.tables.rows import make_table
from avalua_client.tables.table import Limits, Source, Table, TableError, blank

SEPARATORS = (";", ",", "\t", "|")
SAMPLE_CHARS, SAMPLE_ROWS = 131_072, 100
ONE_COLUMN = "\x1f"
"""Separates nothing: for a file that has no separator."""
OURS = frozenset({"nota", "feedback"})
"""Headings by which a file is known that we wrote, guarded against formulas."""
SAYS_SEPARATOR = "sep="
"""A first line of Excel's own."""


def read_csv(data: bytes, encoding: str | None, separator: str | None, limits: Limits) -> Table:
    """Every cell is text, as it was written. Raises TableError."""
    text, found = decode(data, encoding)
    text = text.replace("\0", "\ufffd")
    first_number = 1
    head, line_end, _ = text[:20].partition("\n")
    if head.lower().startswith(SAYS_SEPARATOR) and line_end:
        said = head[len(SAYS_SEPARATOR) :].strip("\r\"' ") or "\t"
        separator, text, first_number = separator or said[0], text[len(head) + 1 :], 2
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise TableError("unknown_separator", "The separator must be one character, such as ; or , or a tab.")
    separator = separator or _find_separator(text)
    if separator and text.count(separator) > limits.max_cells:
        raise TableError("too_many_cells", f"There are more than {limits.max_cells} cells in the file.")
    rows = _rows(text, separator or ONE_COLUMN, limits)
    notes = []
    if "\ufffd" in text:
        notes.append("some characters could not be read; is it another encoding?")
    if swallowed := _swallowed(rows, separator):
        notes.append(f"row {swallowed}: a cell holds what look like rows; is a quotation mark missing?")
    source = Source("csv", found, separator or None)
    table = make_table(rows, source, limits, notes=notes, first_number=first_number)
    table = _beyond_the_headings(table, [len(row) for row in rows], first_number)
    if found == "utf-8-sig" and {plain(name) for name in table.columns} >= OURS:
        return _unguarded(table)
    return table


def _rows(text: str, separator: str, limits: Limits) -> list[list[str]]:
    if csv.field_size_limit() < limits.max_cell_chars:
        csv.field_size_limit(limits.max_cell_chars)
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    begun = 0
    try:
        for row in reader:
            begun = reader.line_num
            rows.append(row)
            if len(rows) > limits.max_rows + 1:
                break
    except csv.Error:
        raise _unclosed(len(rows) + 1) from None
    if rows and begun and _left_open(text, rows[-1]):
        raise _unclosed(len(rows))
    if rows and max(map(len, rows[-1]), default=0) > limits.max_cell_chars:
        raise _unclosed(len(rows))
    return rows


def _left_open(text: str, last: list[str]) -> bool:
    """Whether the file ends inside of quotes, which swallow all rows that follow."""
    return any("\n" in cell for cell in last) and not text.rstrip().endswith('"') and text.count('"') % 2 == 1


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


def _beyond_the_headings(table: Table, lengths: list[int], first_number: int) -> Table:
    """A row with more cells than there are headings was cut in a text: it must not be marked on the stump."""
    width = lengths[table.source.header_row - first_number]
    why = "the row has more cells than there are headings: is a text with the separator in it not in quotes?"
    cut = {
        (place, column): why
        for place, row in enumerate(table.rows)
        if any(not blank(cell) for cell in row[width:])
        for column in range(width)
    }
    return replace(table, unreadable={**table.unreadable, **cut}) if cut else table


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
        return ""  # one column: whatever stands in its texts separates nothing
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    return max(SEPARATORS, key=lambda one: _score(sample, one))


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
    lengths = Counter(len(row) for row in rows if len(row) > 1)
    if not lengths:
        return 0, 0.0, 0
    length, count = lengths.most_common(1)[0]
    known = max(recognised(row) if len(row) > 1 else 0 for row in rows[:20])
    return known, count / len(rows), length


def _unguarded(table: Table) -> Table:
    rows = tuple(
        tuple(unguarded(cell) if isinstance(cell, str) else cell for cell in row) for row in table.rows
    )
    columns = tuple(unguarded(name) for name in table.columns)
    return replace(table, columns=columns, rows=rows)
