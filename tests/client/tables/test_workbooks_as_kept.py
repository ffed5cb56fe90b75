"""Workbooks as people keep them: each cell is read as the eye reads it, or named."""

from __future__ import annotations

import datetime
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from avalua_client.tables import Cell, Limits, TableError, find_columns, prepare, read, write
from tests.client.tables import workbooks
from tests.client.tables.workbooks import HEAD, ROW, rewritten, workbook

ROOT = Path(__file__).parents[3]
SHEET = "xl/worksheets/sheet1.xml"


def first_cells(content: bytes) -> list[Cell]:
    return [row[0] for row in read(content, name="x.xlsx").rows]


def with_ids(ids: list[tuple[Any, str]]) -> bytes:
    """A class whose ids are these values in these number formats."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEAD)
        for place, (value, number_format) in enumerate(ids, start=1):
            sheet.write(place, 0, value, book.add_format({"num_format": number_format}))
            sheet.write_row(place, 1, ROW[1:])

    return workbook(fill)


@pytest.mark.parametrize(
    ("number_format", "seen"),
    [
        ("0000", "0012"),
        ("0000;-0000", "0012"),
        ("[$-403]0000", "0012"),
        ("[Red]0000", "0012"),
        ("0000_)", "0012"),
        ("#000", "012"),
        ('"A"000', "A012"),
        ("000\\ 000", "000 012"),
        ("00-00", "00-12"),
        ("00000;@", "00012"),
        ("0", 12),
        ("General", 12),
        ("@", 12),
        ("0.00", 12),
        ("#,##0", 12),
        ("0%", 12),
    ],
)
def test_ids_with_zeros_in_front(number_format: str, seen: Cell) -> None:
    """What a format shows of a number, where it shows zeros."""
    assert first_cells(with_ids([(12, number_format), ("", ""), (12345, "00-00")])) == [seen, None, "123-45"]


def test_long_ids_keep_their_digits() -> None:
    """More digits than a spreadsheet computes with are no number, on either side."""
    content = rewritten(
        with_ids([(77, "0")]), SHEET, lambda xml: xml.replace(b">77<", b">123456789012345678<")
    )
    assert first_cells(content) == ["123456789012345678"]
    assert first_cells(write(read(content, name="x.xlsx"), {}, kind="xlsx")) == ["123456789012345678"]


def test_dates_and_durations() -> None:
    """Dates are ISO 8601, durations hours as the eye sees them; a date that is none is named."""
    content = with_ids(
        [
            (datetime.datetime(2026, 3, 5, 10, 30), "dd/mm/yyyy hh:mm"),  # noqa: DTZ001
            (1.5, "[h]:mm"),
            (2e7, "dd/mm/yyyy"),
        ]
    )
    assert first_cells(content)[:2] == ["2026-03-05 10:30:00", "36:00:00"]
    table = read(content, name="x.xlsx")
    found = prepare(table, find_columns(table.columns))
    assert [problem.column for problem in found.problems] == ["A"]
    assert "A4" in found.problems[0].message


def test_answers_that_are_numbers() -> None:
    """Their text is what can be seen; they stay numbers in what is written."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEAD)
        for place, (number, number_format) in enumerate(
            [(0.5, "0%"), (0.125, "0.00%"), (0.1 + 0.2, "General"), (3, "General"), (1234567, "0")], start=1
        ):
            sheet.write_row(place, 0, ROW[:3])
            sheet.write_number(place, 3, number, book.add_format({"num_format": number_format}))

    table = read(workbook(fill), name="x.xlsx")
    found = prepare(table, find_columns(table.columns))
    assert [item["respuesta"] for item in found.items] == ["50%", "12.50%", "0.3", "3", "1234567"]
    assert table.rows[0][3] == 0.5
    assert read(write(table, {}, kind="xlsx"), name="x.xlsx").rows[0][3] == 0.5


def test_it_is_read_wherever_the_library_is() -> None:
    """Also where only PYTHONPATH or a person's own folder has it; no key of the environment is passed on."""
    program = (
        "import os, subprocess, sys; from avalua_client.tables import read, xlsx_reading as reading\n"
        "run, seen = subprocess.run, []\n"
        "reading.subprocess.run = lambda *a, **k: (seen.append(k['env']), run(*a, **k))[1]\n"
        "print(read(sys.stdin.buffer.read(), name='x.xlsx').rows[0][0], 'AVALUA_API_KEY' in seen[0])"
    )
    libraries = Path(openpyxl.__file__).parents[1]
    done = subprocess.run(
        [getattr(sys, "_base_executable", sys.executable), "-c", program],
        input=workbooks.plain([HEAD, ROW]),
        capture_output=True,
        check=True,
        env={"PYTHONPATH": f"{ROOT}{os.pathsep}{libraries}", "AVALUA_API_KEY": "secret"},
    )
    assert done.stdout.split() == [b"A1", b"False"]


@pytest.mark.parametrize("kind", ["csv", "xlsx", "json", "ndjson"])
def test_escapes_of_characters(kind: str) -> None:
    """Those of control characters are undone, as Excel does; what a student typed like one stays."""
    content = rewritten(
        with_ids([("KEEP_x0041_", "0"), ("RAW", "0"), ("a\nb", "0")]),
        "xl/sharedStrings.xml",
        lambda xml: xml.replace(b"RAW", b"a_xD800__x000D__x0009_b"),
    )
    table = read(content, name="x.xlsx")
    assert [row[0] for row in table.rows] == ["KEEP_x0041_", "a_xD800_\n\tb", "a\nb"]
    again = read(write(table, {}, kind=kind), name=f"x.{kind}")  # type: ignore[arg-type]
    assert [row[0] for row in again.rows] == [row[0] for row in table.rows]


def test_a_formula_that_gives_nothing_is_known() -> None:
    """An empty text is a value: the student wrote nothing."""
    content = rewritten(
        workbooks.with_formulas(stored=False),
        SHEET,
        lambda xml: xml.replace(b'<c r="D2">', b'<c r="D2" t="str">').replace(
            b"</f></c>", b"</f><v></v></c>"
        ),
    )
    table = read(content, name="x.xlsx")
    found = prepare(table, find_columns(table.columns))
    assert ([item["respuesta"] for item in found.items], found.problems) == (["", "Plou."], [])


def test_the_sheet_with_the_answers_is_read() -> None:
    """Not the cover before it; the one that is named, where one is."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_column(0, 0, ("Instruccions", "Ompliu el full següent"))
        for name in ("Respostes", "2n trimestre"):
            other = book.add_worksheet(name)
            other.write(0, 0, "Avaluació")
            other.write_row(1, 0, HEAD)
            other.write_row(2, 0, (name, *ROW[1:]))

    content = workbook(fill)
    table = read(content, name="x.xlsx")
    assert (table.source.sheet, table.source.header_row) == ("Respostes", 2)
    assert table.source.sheets == ("Full1", "Respostes", "2n trimestre")
    assert table.notes == ("other sheets were not read: Full1, 2n trimestre",)
    assert read(content, name="x.xlsx", sheet="2N trimestre ").rows[0][0] == "2n trimestre"
    assert read(content, name="x.xlsx", sheet="Full1").columns == ("Instruccions",)
    with pytest.raises(TableError, match="no sheet 'x'"):
        read(content, name="x.xlsx", sheet="x")


def test_a_heading_merged_over_empty_columns() -> None:
    """It is that of the column which holds anything."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEAD[:3])
        sheet.merge_range("D1:F1", "Resposta")
        sheet.write(0, 6, "Nota")
        sheet.write_row(1, 0, (*ROW, "", "", 3))

    table = read(workbook(fill), name="x.xlsx")
    assert table.columns == (*HEAD, "", "", "Nota")
    assert find_columns(table.columns).respuesta == 3


def _only_hidden() -> bytes:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEAD)
        other = book.add_worksheet("Buit")
        other.activate()
        other.set_first_sheet()
        sheet.hide()

    return workbook(fill)


def _renamed(old: str, new: str) -> bytes:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbooks.plain([HEAD, ROW]))) as book,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for part in book.infolist():
            other.writestr(part.filename.replace(old, new), book.read(part))
    return made.getvalue()


def _strict() -> bytes:
    content = workbooks.plain([HEAD, ROW])
    for part in zipfile.ZipFile(io.BytesIO(content)).namelist():
        for old, new in (
            (b"schemas.openxmlformats.org/spreadsheetml/2006", b"purl.oclc.org/ooxml/spreadsheetml"),
            (b"schemas.openxmlformats.org/officeDocument/2006", b"purl.oclc.org/ooxml/officeDocument"),
        ):
            content = rewritten(content, part, lambda xml, old=old, new=new: xml.replace(old, new))  # type: ignore[misc]
    return content


def _many_parts() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(3000):
            archive.writestr(f"xl/{number}", "")
    return made.getvalue()


REFUSED = {
    "only hidden sheets hold anything": (_only_hidden, "empty_table", "show the others"),
    "a binary workbook": (lambda: _renamed("workbook.xml", "workbook.bin"), "unsupported_workbook", "binary"),
    "Strict Open XML": (_strict, "unsupported_workbook", "not Strict"),
    "thousands of parts": (_many_parts, "workbook_too_large", "3000 parts"),
    "a shared string that is missing": (
        lambda: rewritten(workbooks.plain([HEAD, ROW]), SHEET, lambda xml: xml.replace(b"<v>4<", b"<v>999<")),
        "damaged_workbook",
        "save it as XLSX anew",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_sentence(name: str) -> None:
    make, code, words = REFUSED[name]
    with pytest.raises(TableError, match=words) as refused:
        read(make(), name="x.xlsx")
    assert refused.value.code == code


def test_limits_of_time_and_memory_end_the_reader() -> None:
    """In one sentence, too."""
    content = workbooks.plain([HEAD, *[ROW] * 3000])
    for limits in (Limits(seconds=0.05), Limits(memory_bytes=16 << 20)):
        with pytest.raises(TableError) as refused:
            read(content, limits=limits)
        assert refused.value.code == "workbook_too_large"
        assert "\n" not in refused.value.message


def test_long_and_odd_texts_are_cut_visibly() -> None:
    """What a workbook can't hold: control characters, and more than 32 767 of any."""
    table = read(b'[{"respuesta": "a\\u0001b"}, {"respuesta": "' + b"x" * 40_000 + b'"}]')
    again = read(write(table, {}, kind="xlsx"), name="x.xlsx")
    assert again.rows[0][0] == "a\ufffdb"
    assert str(again.rows[1][0]).endswith("x […]")
    assert len(str(again.rows[1][0])) == 32_767
