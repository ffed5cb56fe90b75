"""How a table is made: in parts, in files that are gone afterwards, a few at a time."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from avalua_client.tables.locales import POINT
from avalua_client.tables.table import Cell
from orchestrator.api import results
from orchestrator.api.exports.tables import TABLES, make_table
from testkit.triton import TritonProcess
from tests.open_files import open_files
from tests.orchestrator import workbook
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start
from tests.orchestrator.raw import connected, head
from tests.orchestrator.tables import fetch, pieces
from tests.small_disk import fill


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
