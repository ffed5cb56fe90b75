"""Files that other services fall over: each is shown, marked, or refused in one sentence, at once."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from orchestrator.api.exports.formats import XLSX
from orchestrator.api.table_options import CSV
from testkit.triton import TritonProcess
from tests.client.tables import workbooks
from tests.client.tables.workbooks import HEAD, ROW
from tests.orchestrator.conftest import Start

IDS = (b"123456789012345678901234567890", b"1e999", b"-0", b"1E+20", b"0.1")


def odd_numbers() -> bytes:
    """Ids that are no numbers of a spreadsheet's, nor of JSON's."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEAD)
        for place in range(len(IDS)):
            sheet.write_row(place + 1, 0, (7_000_001 + place, *ROW[1:3], f"Mot{place} \x01 _xD800_ fi"))

    def change(xml: bytes) -> bytes:
        for place, number in enumerate(IDS):
            xml = xml.replace(b">%d<" % (7_000_001 + place), b">%s<" % number)
        return xml

    return workbooks.rewritten(workbooks.workbook(fill), "xl/worksheets/sheet1.xml", change)


async def test_odd_numbers_and_escapes_are_marked(start: Start, scripted_triton: TritonProcess) -> None:
    async with start(scripted_triton) as client:
        headers = {"Content-Type": XLSX}
        shown = await client.call("POST", "/tables", data=odd_numbers(), headers=headers)
        job = await client.call("POST", "/evaluate", data=odd_numbers(), headers=headers)
        heard = await client.stream(job[1]["job_id"])
    assert (shown[0], job[0]) == (200, 202), (shown, job)
    assert len(heard.results) == len(IDS)
    assert IDS[0].decode() in {result["id_alumno"] for result in heard.results}


MARKS = "\u0301\u0323" * 45_000
FILES = {
    "marks over marks": ("/tables", f"{MARKS}\n".encode() * 20, CSV, 200),
    "a slow codec": ("/tables?encoding=punycode", b"a" * 2_000_000, CSV, 422),
    "half a character in the address": ("/tables?curso=%ED%A0%80", b"resposta\na\n", CSV, 200),
    "a character set in the type": ("/tables", "resposta\nAixò\n".encode("cp1252"), f"{CSV}; charset=x", 200),
    "one column of commas": ("/tables?curso=3r&consigna=Que", b"resposta\na, b, c\n", CSV, 200),
    "NUL": ("/tables", b"resposta\na\0b\n", CSV, 200),
    "many quotes": ("/tables", b'"' * 2_000_000, CSV, 422),
    "many cells": ("/tables", b";" * 2_000_000 + b"a", CSV, 413),
    "no name": ("/tables?=x", b"resposta\na\n", CSV, 400),
    "a sheet that isn't there": ("/tables?sheet=%0A%3Cb%3E", workbooks.plain([HEAD, ROW]), XLSX, 422),
    "a column that isn't there": ("/evaluate?column.respuesta=ZZZ", b"a;b\n1;2\n", CSV, 422),
    "thousands of sheets' names": ("/tables", workbooks.bomb(), XLSX, 413),
    "no workbook": ("/tables", b"PK\x03\x04" + bytes(1000), XLSX, 422),
    "an empty archive": ("/tables", b"PK\x05\x06" + bytes(18), XLSX, 422),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
async def test_it_is_answered_at_once(start: Start, scripted_triton: TritonProcess, name: str) -> None:
    """In one sentence where it is refused, and the next file is read as ever."""
    path, data, kind, expected = FILES[name]
    async with start(scripted_triton) as client:
        started = time.monotonic()
        status, answer, _ = await client.call(
            "POST", path, data=io.BytesIO(data), headers={"Content-Type": kind}
        )
        assert time.monotonic() - started < 15
        again = await client.call("POST", "/tables", data=b"resposta\na\n", headers={"Content-Type": CSV})
    assert status == expected, answer
    assert status == 200 or "\n" not in answer["error"]
    assert again[0] == 200


async def test_only_own_pages_may_send_files(start: Start) -> None:
    """The same guards as for JSON: a foreign page's form can't, and no other host's name is answered to."""
    async with start() as client:
        for headers, expected in (({"Origin": "https://x.example"}, 403), ({"Host": "x.example"}, 421)):
            status, answer, _ = await client.call(
                "POST", "/tables", data=b"resposta\na\n", headers={"Content-Type": CSV, **headers}
            )
            assert status == expected, answer
