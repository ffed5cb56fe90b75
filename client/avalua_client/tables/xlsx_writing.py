"""A table as an Excel workbook: numbers are numbers, and texts are texts whatever they begin with."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from math import isfinite
from typing import Final

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from avalua_client.tables.table import Cell

MAX_CELL_UNITS: Final = 32_767  # of UTF-16: Excel's own limit, beyond which it calls the file damaged
MAX_EXACT: Final = 10**15  # a spreadsheet keeps 15 digits of a number
CUT: Final = " […]"
CHUNK_BYTES: Final = 65_536
OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
# What XML can't hold. Excel's own escapes for it are shown by few other programs.
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LINE_ENDS: Final = re.compile("\r\n?")
_WIDTHS: Final = {"feedback": 60, "respuesta": 60, "consigna": 40, "error_message": 40, "id_alumno": 18}
_WIDTH: Final = 12
SHEET: Final = "Results"
_EVERYWHERE: Final = "A1:XFD1048576"


class XlsxTable:
    """A workbook that grows by rows. To be closed, also where it was not finished."""

    def __init__(self, header: Sequence[str], before: Sequence[Sequence[Cell]] = ()) -> None:
        """``before`` are rows above the headings."""
        # Rows wait in files: in memory, long texts take several times their size. `close` removes them.
        self._folder = tempfile.TemporaryDirectory()
        self._whole = io.BytesIO()
        self._width = len(header)
        self._rows = -1
        try:
            self._begin(header, before)
        except BaseException:
            self._folder.cleanup()
            raise

    def _begin(self, header: Sequence[str], before: Sequence[Sequence[Cell]]) -> None:
        self._book = xlsxwriter.Workbook(self._whole, {**OPTIONS, "tmpdir": self._folder.name})
        self._sheet = self._book.add_worksheet(SHEET)
        self._wrapped = self._book.add_format({"text_wrap": True, "valign": "top"})
        bold = self._book.add_format({"bold": True, "bottom": 1, "valign": "top"})
        for column, name in enumerate(header):
            width = _WIDTHS.get(name, max(_WIDTH, len(name) + 2))
            self._sheet.set_column(column, column, width, self._wrapped)
        for row in before:
            self._add_row(row)
        self._rows += 1
        self._head = self._rows
        for column, name in enumerate(header):
            self._sheet.write_string(self._head, column, _text(name), bold)
        self._sheet.freeze_panes(self._head + 1, 0)
        self._sheet.ignore_errors(
            {"number_stored_as_text": _EVERYWHERE}
        )  # an id of digits is text on purpose

    def add(self, rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
        """Takes rows; gives nothing yet, since a workbook's directory stands at its end."""
        for row in rows:
            self._add_row(row)
        return iter(())

    def _add_row(self, row: Sequence[Cell]) -> None:
        self._rows += 1
        for column, cell in enumerate(row):
            if isinstance(cell, bool):
                self._sheet.write_boolean(self._rows, column, cell, self._wrapped)
            elif isinstance(cell, str):
                self._sheet.write_string(self._rows, column, _text(cell), self._wrapped)
            elif cell is not None and abs(cell) < MAX_EXACT and isfinite(cell):
                self._sheet.write_number(self._rows, column, cell, self._wrapped)
            elif cell is not None:  # a spreadsheet would round it
                self._sheet.write_string(self._rows, column, str(cell), self._wrapped)

    def finish(self) -> Iterator[bytes]:
        """The whole file. Raises OSError where there is no room to make it."""
        self._sheet.autofilter(self._head, 0, self._rows, self._width - 1)
        try:
            self._book.close()
        except FileCreateError as error:
            raise OSError(*error.args) from None
        content = self._whole.getbuffer()
        for start in range(0, len(content), CHUNK_BYTES):
            yield bytes(content[start : start + CHUNK_BYTES])

    def close(self) -> None:
        """Removes the files. Of a workbook that is not finished nothing is made any more."""
        with suppress(OSError):  # what could not be written before can't be now
            self._sheet.row_data_fh.close()
        self._folder.cleanup()


def _text(text: str) -> str:
    text = _NOT_XML.sub("\ufffd", _LINE_ENDS.sub("\n", text))
    if len(text) * 2 <= MAX_CELL_UNITS:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * MAX_CELL_UNITS:
        return text
    return units[: 2 * (MAX_CELL_UNITS - len(CUT))].decode("utf-16-le", "ignore") + CUT
