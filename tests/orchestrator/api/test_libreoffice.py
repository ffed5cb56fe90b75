"""Our files, opened by a real spreadsheet."""

import asyncio
import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.api.exports.columns import ALL_COLUMNS
from testkit.triton import TritonProcess
from tests.orchestrator import workbook
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start
from tests.orchestrator.tables import IDS, csv_of, fetch, xlsx_of

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
@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", ":"])
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
    book = xlsx_of([[text, index + 0.5] for index, text in enumerate(texts)], "text", "number")
    found = list(csv.reader(io.StringIO(convert(tmp_path, book, ".xlsx", WRITE).decode(), newline="")))
    assert found == [["text", "number"], *[[text, str(index + 0.5)] for index, text in enumerate(texts)]]


async def test_a_jobs_files_hold_no_formula(
    tmp_path: Path, start: Start, scripted_triton: TritonProcess
) -> None:
    """Whatever students and their teacher wrote stays text in all columns of a real job."""
    items = make_items(len(IDS))
    for item, name in zip(items, IDS, strict=True):
        item["id_alumno"] = item["curso"] = item["consigna"] = item["respuesta"] = name
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        await client.stream(job_id)
        path = f"/results/{job_id}?columns={','.join(reversed(ALL_COLUMNS))}&format="
        files = [(await fetch(client, path + form))[0] for form in ("csv", "csv&locale=ca", "xlsx")]
    for file in files[:2]:
        for separator in ",;\t":
            read = READ.format(separator=ord(separator), quote=34)
            book = await asyncio.to_thread(convert, tmp_path, file, ".csv", "xlsx", read)
            assert workbook.formulas(book) == []
    again = await asyncio.to_thread(convert, tmp_path, files[2], ".xlsx", WRITE)
    rows = list(csv.DictReader(io.StringIO(again.decode(), newline="")))
    assert [row["id_alumno"] for row in rows[-3:]] == IDS[-3:]
    assert [row["nota"] for row in rows[-3:]] == ["3", "3", "3"]
