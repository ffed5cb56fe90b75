"""A table as an Excel workbook: numbers are numbers, and texts are texts whatever they begin with."""

import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import xlsxwriter

from orchestrator.api.exports.columns import Cell

MAX_CELL_UNITS: Final = 32_767  # of UTF-16: Excel's own limit, beyond which it calls the file damaged
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
_SHEET: Final = "Results"
_EVERYWHERE: Final = "A1:XFD1048576"


def xlsx_chunks(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """The file, piece by piece. It is made whole first: a workbook's directory stands at its end."""
    whole = io.BytesIO()
    # By way of files: in memory, long texts would take several times their size. None outlives the block.
    with (
        tempfile.TemporaryDirectory() as folder,
        xlsxwriter.Workbook(whole, {**OPTIONS, "tmpdir": folder}) as book,
    ):
        _fill(book, header, rows)
    content = whole.getbuffer()
    for start in range(0, len(content), CHUNK_BYTES):
        yield bytes(content[start : start + CHUNK_BYTES])


def _fill(book: xlsxwriter.Workbook, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    sheet = book.add_worksheet(_SHEET)
    bold = book.add_format({"bold": True, "bottom": 1, "valign": "top"})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    for column, name in enumerate(header):
        sheet.set_column(column, column, _WIDTHS.get(name, max(_WIDTH, len(name) + 2)), wrapped)
        sheet.write_string(0, column, name, bold)
    last = 0
    for last, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                sheet.write_string(last, column, _text(cell), wrapped)
            elif cell is not None:
                sheet.write_number(last, column, cell, wrapped)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, last, len(header) - 1)
    sheet.ignore_errors({"number_stored_as_text": _EVERYWHERE})  # an id of digits is text on purpose


def _text(text: str) -> str:
    text = _NOT_XML.sub("\ufffd", _LINE_ENDS.sub("\n", text))
    if len(text) * 2 <= MAX_CELL_UNITS:
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * MAX_CELL_UNITS:
        return text
    return units[: 2 * (MAX_CELL_UNITS - len(CUT))].decode("utf-16-le", "ignore") + CUT
