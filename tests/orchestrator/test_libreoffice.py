"""Our files, opened by a real spreadsheet."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.api.exports.xlsx_table import xlsx_chunks
from tests.orchestrator import workbook
from tests.orchestrator.test_exports import IDS, csv_of

TIMEOUT_S = 120.0
pytestmark = pytest.mark.skipif(
    shutil.which("soffice") is None,
    reason="LibreOffice is missing: apt install --no-install-recommends libreoffice-calc",
)
FROM_CSV = "Text - txt - csv (StarCalc)"
# Separator, quote, UTF-8, first line, columns, language; quoted cells are not kept as text; find numbers;
# the last one says to evaluate formulas.
READ = FROM_CSV + ":{separator},{quote},76,1,,0,false,true,false,false,false,0,true"
WRITE = "csv:" + FROM_CSV + ":44,34,76,1"


def convert(folder: Path, content: bytes, suffix: str, to: str, read: str | None = None) -> bytes:
    """What LibreOffice makes of a file, in a profile of its own."""
    source = folder / f"table{suffix}"
    source.write_bytes(content)
    target = folder / "out"
    command = ["soffice", f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"]
    command += [f"--infilter={read}"] if read else []
    command += ["--convert-to", to, "--outdir", str(target), str(source)]
    subprocess.run(command, check=True, timeout=TIMEOUT_S, capture_output=True)
    return (target / f"table.{to.partition(':')[0]}").read_bytes()


@pytest.mark.parametrize("quote", ["34", ""], ids=["quotes", "no quotes"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " "])
def test_no_cell_is_a_formula(tmp_path: Path, separator: str, quote: str) -> None:
    """Whatever it splits at, and with or without quotes, LibreOffice finds none; without our care it does."""
    read = READ.format(separator=ord(separator), quote=quote)
    for written in (",", ";"):
        book = convert(tmp_path, csv_of(IDS, written), ".csv", "xlsx", read)
        assert workbook.formulas(book) == []
    careless = "\n".join(["a", *IDS, f"a{separator}=1+1{separator}b"]).encode()
    assert workbook.formulas(convert(tmp_path, careless, ".csv", "xlsx", read))


def test_a_workbook_opens_as_it_was_made(tmp_path: Path) -> None:
    """Numbers, ids, accents and line breaks arrive, and nothing was evaluated."""
    texts = [
        "＝1+1",
        "=1+1",
        "-12",
        "007",
        "https://escola.cat",
        "l'aigua és «bona»\nsí",
        "_x0041_",
        "🎈 a\u2028b",
    ]
    book = b"".join(
        xlsx_chunks(["text", "number"], [[text, index + 0.5] for index, text in enumerate(texts)])
    )
    found = list(csv.reader(io.StringIO(convert(tmp_path, book, ".xlsx", WRITE).decode(), newline="")))
    assert found == [["text", "number"], *[[text, str(index + 0.5)] for index, text in enumerate(texts)]]
