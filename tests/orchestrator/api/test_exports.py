"""Results as files: what a table holds, in which language's form, and as what it is asked for."""

import json
from typing import Any

import pytest

from avalua_client.tables import TableError
from avalua_client.tables.locales import find_locale
from orchestrator.api.exports.columns import ALL_COLUMNS, COLUMNS
from orchestrator.api.exports.formats import XLSX, find_format
from orchestrator.api.exports.made_with import columns
from testkit.triton import TritonProcess
from tests.orchestrator import workbook
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start
from tests.orchestrator.tables import IDS, fetch, read_csv, xlsx_of


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
    with pytest.raises(TableError) as refused:
        find_locale(name)
    assert refused.value.code == "unknown_locale"
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
