"""Workbooks as programs and people leave them, and as attackers make them."""

from __future__ import annotations

import copy
import datetime
import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import xlsxwriter

HEAD = ("Alumne", "Curs", "Pregunta", "Resposta")
ROW = ("A1", "3r ESO", "Explica la pluja.", "Plou.")
MIMETYPE = b"application/vnd.oasis.opendocument.spreadsheet"


def workbook(fill: Callable[[Any, Any], None]) -> bytes:
    """A workbook as xlsxwriter makes it; ``fill`` is given it and its first sheet."""
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content)
    fill(book, book.add_worksheet("Full1"))
    book.close()
    return content.getvalue()


def plain(rows: list[tuple[object, ...]]) -> bytes:
    def fill(_: Any, sheet: Any) -> None:
        for place, row in enumerate(rows):
            sheet.write_row(place, 0, row)

    return workbook(fill)


def with_formulas(*, stored: bool) -> bytes:
    """The answer of the first row is a formula, that of the second is none."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEAD)
        sheet.write_row(1, 0, ROW[:3])
        sheet.write_formula(1, 3, '="Pl"&"ou."', None, "Plou." if stored else "")
        sheet.write_row(2, 0, ROW)

    content = workbook(fill)
    if stored:
        return content
    return rewritten(content, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b"<v></v>", b""))


def rewritten(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same archive with one part changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            data = old.read(part)
            new.writestr(part.filename, change(data) if part.filename == name else data)
    return made.getvalue()


def with_dates_and_zeros() -> bytes:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ("Id", *HEAD[1:], "Data", "Hora"))
        sheet.write_number(1, 0, 12, book.add_format({"num_format": "0000"}))
        sheet.write_row(1, 1, ROW[1:])
        sheet.write_datetime(1, 4, datetime.date(2026, 3, 5), book.add_format({"num_format": "dd/mm/yyyy"}))
        sheet.write_datetime(1, 5, datetime.time(10, 30), book.add_format({"num_format": "hh:mm"}))
        sheet.write_number(2, 0, 7)
        sheet.write_row(2, 1, ROW[1:])

    return workbook(fill)


def with_merged_heads() -> bytes:
    """A title over all, two rows of headings, and one course for all rows below it."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.merge_range("A1:D1", "Avaluació inicial")
        sheet.merge_range("A2:A3", "Alumne")
        sheet.merge_range("B2:D2", "Prova")
        sheet.write_row(2, 1, HEAD[1:])
        sheet.write_row(3, 0, ("A1", "3r ESO", ROW[2], "Plou."))
        sheet.write_row(4, 0, ("A2", "", ROW[2], "Neva."))
        sheet.merge_range("B4:B5", "3r ESO")

    return workbook(fill)


def with_hidden_parts() -> bytes:
    """A hidden first sheet, a hidden row and column, and another sheet that holds something."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ("secret",))
        second = book.add_worksheet("Respostes")
        second.write_row(0, 0, HEAD)
        second.write_row(1, 0, ROW)
        second.write_row(2, 0, ("A2", *ROW[1:]))
        second.set_row(2, None, None, {"hidden": True})
        second.set_column(1, 1, None, None, {"hidden": True})
        book.add_worksheet("Notes").write(0, 0, "x")
        second.activate()
        second.set_first_sheet()
        sheet.hide()

    return workbook(fill)


def formatted_far_away() -> bytes:
    """Cells that hold nothing, in the last column and far below: only their format was set."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (HEAD, ROW):
        sheet.append(row)
    for place in ("XFD1", "A1048576"):
        sheet[place].font = openpyxl.styles.Font(bold=True)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


SHEET_BYTES = 10 << 20


def bomb(sheets: int = 100) -> bytes:
    """Some 20 KB that unpack to a gigabyte: a hundred names for one part of zeros."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(SHEET_BYTES))
        for number in range(2, sheets + 1):
            part = copy.copy(archive.filelist[1])
            part.filename = f"xl/worksheets/sheet{number}.xml"
            archive.filelist.append(part)
    return made.getvalue()


def lying_bomb() -> bytes:
    """The same, whose directory says that it is small."""
    return bomb().replace(struct.pack("<I", SHEET_BYTES), struct.pack("<I", 1000))


ENTITIES = b"".join(
    [b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">']
    + [b'<!ENTITY a%d "%s">' % (n, (b"&a%d;" % (n - 1)) * 10) for n in range(1, 12)]
    + [b"]><worksheet><sheetData><row><c><v>&a11;</v></c></row></sheetData></worksheet>"]
)


def with_entities() -> bytes:
    return rewritten(plain([HEAD, ROW]), "xl/worksheets/sheet1.xml", lambda _: ENTITIES)


def open_document() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("mimetype", MIMETYPE)
        archive.writestr("content.xml", b"<x/>")
    return made.getvalue()
