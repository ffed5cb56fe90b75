"""Reads a workbook as its XML says, so that nothing is guessed about what a cell is."""

import io
import re
import zipfile
from xml.etree import ElementTree

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
LETTERS = re.compile("[A-Z]+")


def sheet_xml(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("xl/worksheets/sheet1.xml").decode()


def formulas(content: bytes) -> list[str]:
    """Every formula of the first sheet."""
    tree = ElementTree.fromstring(sheet_xml(content))  # noqa: S314  made by our own service or by LibreOffice
    return [found.text or "" for found in tree.iter(f"{SPACE}f")]


def rows(content: bytes) -> list[dict[str, str | float]]:
    """The rows below the header, by its names: numbers as float, texts as str, empty cells left out."""
    tree = ElementTree.fromstring(sheet_xml(content))  # noqa: S314  made by our own service
    table = [{_column(cell): _value(cell) for cell in row} for row in tree.iter(f"{SPACE}row")]
    names = table[0]
    return [{str(names[column]): value for column, value in row.items()} for row in table[1:]]


def _column(cell: ElementTree.Element) -> str:
    found = LETTERS.match(cell.attrib["r"])
    assert found is not None
    return found[0]


def _value(cell: ElementTree.Element) -> str | float:
    if cell.attrib.get("t") == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{SPACE}t"))
    number = cell.find(f"{SPACE}v")
    assert number is not None
    assert cell.attrib.get("t", "n") == "n"
    return float(number.text or "")
