"""A file's bytes into a table, whatever the file is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from avalua_client.tables.csv_reading import read_csv
from avalua_client.tables.json_reading import read_json
from avalua_client.tables.table import Kind, Limits, Table, TableError
from avalua_client.tables.xlsx_reading import OLE, read_xlsx

KINDS: Mapping[str, Kind] = MappingProxyType({
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".tab": "csv", ".xlsx": "xlsx", ".xlsm": "xlsx",
    ".xls": "xlsx",    ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson",
})  # fmt: skip
ZIP = b"PK\x03\x04"


def read(
    data: bytes,
    *,
    name: str = "",
    kind: Kind | None = None,
    encoding: str | None = None,
    separator: str | None = None,
    sheet: str | None = None,
    limits: Limits | None = None,
) -> Table:
    """The table in a file. Blocking; a workbook is read by a process of its own.

    ``kind`` is what the file is, else what its ``name`` and first bytes say; ``encoding`` and ``separator``
    are of a CSV, ``sheet`` is of a workbook, where others would be found. Raises TableError.
    """
    limits = limits or Limits()
    if len(data) > limits.max_bytes:
        raise TableError(
            "file_too_large", f"The file has {len(data)} bytes; at most {limits.max_bytes} are read."
        )
    if not data:
        raise TableError("empty_table", "There is nothing in the file.")
    kind = _kind(data, name) if kind is None else kind
    if kind == "xlsx":
        return read_xlsx(data, sheet, limits)
    if kind == "csv":
        return read_csv(data, encoding, separator, limits)
    return read_json(data, kind, encoding, limits)


def _kind(data: bytes, name: str) -> Kind:
    """What the bytes say wins: files are often named for what they were before."""
    if data.startswith((ZIP, OLE)):
        return "xlsx"
    named = KINDS.get(PurePath(name).suffix.lower())
    if named is not None and named != "xlsx":
        return named
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"["):
        return "json"
    if start.startswith(b"{"):
        return "json" if b'"items"' in start else "ndjson"
    return "csv"
