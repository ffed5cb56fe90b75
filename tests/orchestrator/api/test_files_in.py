"""Files of spreadsheets as bodies: looked at by POST /tables, marked by POST /evaluate."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.api.exports.formats import XLSX
from orchestrator.api.table_options import CSV
from testkit.triton import ROOT, TritonProcess
from tests.client.tables import workbooks
from tests.orchestrator.conftest import Running, Start

JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
CLASS = "alumne;curs;pregunta;resposta;nota\r\n001;3r;Què?;Mot0 això;7,5\r\n002;3r;Què?;Mot1;\r\n".encode(
    "cp1252"
)


async def post(client: Running, path: str, data: bytes, kind: str = CSV) -> tuple[int, Any]:
    """Status and answer."""
    status, answer, _ = await client.call("POST", path, data=data, headers={"Content-Type": kind})
    return status, answer


async def test_a_file_is_shown_and_nothing_kept(start: Start, scripted_triton: TritonProcess) -> None:
    """How it was read, what each column holds, all rows; and no job."""
    async with start(scripted_triton) as client:
        status, shown = await post(client, "/tables", CLASS)
        health = (await client.call("GET", "/health"))[1]
    assert status == 200, shown
    assert (shown["kind"], shown["encoding"], shown["separator"], shown["header_row"]) == (
        "csv",
        "cp1252",
        ";",
        1,
    )
    assert shown["fields"] == {"respuesta": 3, "id_alumno": 0, "curso": 1, "consigna": 2}
    assert shown["rows"][0] == {"row": 2, "cells": ["001", "3r", "Què?", "Mot0 això", "7,5"]}
    assert (shown["items"], shown["problems"], shown["error"]) == (2, [], None)
    assert health["queued_jobs"] + health["active_jobs"] == 0


async def test_what_was_found_can_be_changed(start: Start, scripted_triton: TritonProcess) -> None:
    """The encoding is seen before anything is marked, and columns are chosen where none is recognised."""
    async with start(scripted_triton) as client:
        _, wrong = await post(client, "/tables?encoding=mac_roman&separator=%3B", CLASS)
        _, unknown = await post(client, "/tables", b"a;b\n1;2\n")
        path = "/tables?column.respuesta=B&curso=3r&consigna=Que"
        _, chosen = await post(client, path, b"a;b\n1;2\n")
    assert wrong["rows"][0]["cells"][2] != "Què?"
    assert unknown["fields"] is None
    assert unknown["error"]["code"] == "missing_column"
    assert unknown["rows"][0]["cells"] == ["1", "2"]
    assert (chosen["fields"]["respuesta"], chosen["items"], chosen["error"]) == (1, 1, None)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_a_file_is_a_job(start: Start, scripted_triton: TritonProcess, kind: str) -> None:
    """The same marks as the same class in JSON, and the same key is the same job."""
    data = (ROOT / "examples" / f"class.{kind}").read_bytes()
    async with start(scripted_triton) as client:
        kinds = {"csv": CSV, "xlsx": XLSX}
        headers = {"Content-Type": kinds[kind], "Idempotency-Key": "k"}
        jobs = [(await client.call("POST", "/evaluate", data=data, headers=headers))[1] for _ in range(2)]
        plain = (ROOT / "examples" / "class.json").read_bytes()
        same = await client.call("POST", "/evaluate", data=plain, headers={"Idempotency-Key": "k"})
        heard = await client.stream(jobs[0]["job_id"])
    assert jobs[0]["total_items"] == 25
    assert jobs[0]["job_id"] == jobs[1]["job_id"] == same[1]["job_id"]
    assert sorted(result["id_alumno"] for result in heard.results) == [f"A{n:03}" for n in range(1, 26)]
    assert heard.final["failed_items"] == 0


INVALID = "invalid_items"
LONG = b"curs;pregunta;resposta\n" + b"a" * 999 + b";x;a\n"
REFUSED = {
    "another type": ("/evaluate", b"x", "text/plain", 415, "unsupported_media_type"),
    "JSON to look at": ("/tables", b"{}", "application/json", 415, "unsupported_media_type"),
    "a file to cancel": (f"/cancel/{JOB}", CLASS, CSV, 415, "unsupported_media_type"),
    "nothing": ("/tables", b"", CSV, 422, "empty_table"),
    "an unknown option": ("/tables?colum=B", CLASS, CSV, 400, "invalid_table_option"),
    "an unknown priority": ("/evaluate?priority=now", CLASS, CSV, 400, "invalid_table_option"),
    "an unknown encoding": ("/tables?encoding=klingon", CLASS, CSV, 422, "unknown_encoding"),
    "an option beside JSON": ("/evaluate?sheet=x", b"{}", "application/json", 400, "invalid_table_option"),
    "no workbook": ("/tables", CLASS, XLSX, 422, "damaged_workbook"),
    "a bomb": ("/evaluate", workbooks.bomb(), XLSX, 413, "workbook_too_large"),
    "no course": ("/evaluate", b"id;resposta\n1;2\n", CSV, 422, "missing_column"),
    "a cell that is empty": ("/evaluate", b"curs;pregunta;resposta\n3r;x;a\n;x;b\n", CSV, 422, INVALID),
    "too many": ("/evaluate?curso=x&consigna=y", b"resposta\n" + b"a\n" * 11, CSV, 413, "too_many_items"),
    "a course that is too long": ("/evaluate", LONG, CSV, 422, INVALID),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_what_can_t_be_marked_is_refused(
    start: Start, scripted_triton: TritonProcess, name: str
) -> None:
    """Before anything is stored, with the row where it is one row's fault."""
    path, data, kind, expected, code = REFUSED[name]
    async with start(scripted_triton, max_items=10) as client:
        status, answer = await post(client, path, data, kind)
        health = (await client.call("GET", "/health"))[1]
    assert (status, answer["code"]) == (expected, code), answer
    assert "\n" not in answer["error"]
    assert health["queued_jobs"] + health["active_jobs"] == 0
    if code == INVALID:
        assert answer["details"]["problems"][0]["row"] == (3 if "empty" in name else 2)


async def test_lines_that_are_no_items_are_left_out(start: Start, scripted_triton: TritonProcess) -> None:
    """A total below the class is none, and a blank answer is one."""
    data = b"alumne;curs;pregunta;resposta\n1;3r;x;\n2;3r;x;Mot1\n\nTotal: 2;;;\n"
    async with start(scripted_triton) as client:
        _, shown = await post(client, "/tables", data)
        _, job = await post(client, "/evaluate", data)
        heard = await client.stream(job["job_id"])
    assert [(one["row"], one["code"]) for one in shown["problems"]] == [(5, "not_an_item")]
    assert {result["id_alumno"]: result["status"] for result in heard.results} == {"1": "failed", "2": "ok"}
