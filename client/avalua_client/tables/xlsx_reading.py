"""Tables of Excel workbooks, which are archives of XML from strangers: read in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from avalua_client.tables.headings import are_headings
from avalua_client.tables.rows import make_table
from avalua_client.tables.table import Limits, Source, Table, TableError, letter

CHILD = Path(__file__).with_name("xlsx_child.py")
FREE_BYTES = 4 << 20
"""A small workbook may unpack to this, whatever its ratio."""
OLE = b"\xd0\xcf\x11\xe0"
NEEDED = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Of the environment, which may hold keys that are none of a stranger's file's business."""
MAX_PARTS = 2000
MAX_TOLD = 5
SAVE = "open it in a spreadsheet, save it as XLSX anew, and try again"


def read_xlsx(data: bytes, sheet: str | None, limits: Limits) -> Table:
    """One sheet: the one that is named, or of those that can be seen the first with a heading for answers, or
    else the first that holds anything. Raises TableError.

    Values are those that the file holds; nothing is computed.
    """
    _check_archive(data, limits)
    answer = _ask_child(data, sheet, limits)
    if "error" in answer:
        raise TableError(answer["error"]["code"], answer["error"]["message"], answer["error"].get("details"))
    if sheet is None:
        heads = answer["heads"]
        named = next(
            (title for title, rows in heads if any(are_headings(row, alone=True) for row in rows)),
            answer["sheet"],
        )
        if named != answer["sheet"]:
            return read_xlsx(data, named, limits)  # the first one is a cover, or instructions
    shown = {(row, column): value for row, column, value in answer["shown"]}
    unreadable = {(row, column): why for row, column, why in answer["unreadable"]}
    notes = list(answer["notes"])
    if unreadable:
        cells = [f"{letter(column)}{row + 1} ({why})" for (row, column), why in sorted(unreadable.items())]
        more = f" and {len(cells) - MAX_TOLD} more" if len(cells) > MAX_TOLD else ""
        notes.append(f"not known: {', '.join(cells[:MAX_TOLD])}{more}")
    source = Source("xlsx", sheet=answer["sheet"], sheets=tuple(answer["sheets"]))
    return make_table(answer["rows"], source, limits, notes=notes, shown=shown, unreadable=unreadable)


def _check_archive(data: bytes, limits: Limits) -> None:
    """Before anything is unpacked: nothing gives more bytes than the archive's directory says."""
    if data.startswith(OLE):
        raise TableError(
            "unsupported_workbook",
            "It is an old or a protected workbook: save it as XLSX, without a password.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        raise TableError("damaged_workbook", f"The workbook is damaged: {SAVE}.") from None
    names = {part.filename for part in parts}
    if not any(name.startswith("xl/") for name in names):
        what = "an OpenDocument file" if "mimetype" in names else "no workbook"
        raise TableError("unsupported_workbook", f"It is {what}: save it as XLSX, and try again.")
    if "xl/workbook.bin" in names:
        raise TableError("unsupported_workbook", "It is a binary workbook: save it as XLSX, and try again.")
    if len(parts) > MAX_PARTS:
        raise TableError("workbook_too_large", f"The workbook has {len(parts)} parts: {SAVE}.")
    unpacked = sum(part.file_size for part in parts)
    most = min(limits.max_unpacked_bytes, max(FREE_BYTES, limits.max_ratio * len(data)))
    if unpacked > most:
        raise TableError(
            "workbook_too_large",
            f"The workbook unpacks to {unpacked} bytes, and at most {most} are read: save only the sheet "
            "that is to be marked, or a CSV.",
            {"unpacked_bytes": unpacked, "max_bytes": most},
        )


def _ask_child(data: bytes, sheet: str | None, limits: Limits) -> Any:
    wishes = {
        "sheet": sheet,
        "seconds": limits.seconds,
        "memory_bytes": limits.memory_bytes,
        "max_rows": limits.max_rows,
        "max_columns": limits.max_columns,
        "max_cells": limits.max_cells,
        "max_cell_chars": limits.max_cell_chars,
        # Isolated, it would not find what is installed for its user alone.
        "path": [str(Path(place).resolve()) for place in sys.path if place],
    }
    command = [sys.executable, "-I", str(CHILD), json.dumps(wishes)]
    try:
        # NumPy, which openpyxl imports where it is, would take address space for a thread on each processor.
        environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment |= {name: os.environ[name] for name in NEEDED if name in os.environ}
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=2 * limits.seconds, check=False, env=environment
        )
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        # Ended for its time or memory, or it fell over what it read.
        raise TableError(
            "workbook_too_large", f"The workbook can't be read within {limits.seconds:.0f} seconds: {SAVE}."
        ) from None
