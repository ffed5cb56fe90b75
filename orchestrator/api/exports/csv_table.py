"""A table as CSV (RFC 4180) for people: with a byte order mark, each cell quoted, and none a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from orchestrator.api.exports.columns import Cell
from orchestrator.api.exports.formulas import guarded
from orchestrator.api.exports.locales import Locale

MARK: Final = "\ufeff"  # without it Excel takes UTF-8 for Windows-1252
CHUNK_CHARS: Final = 65_536


def csv_chunks(header: Sequence[str], rows: Iterable[Sequence[Cell]], locale: Locale) -> Iterator[bytes]:
    """The file, piece by piece."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=locale.separator, quoting=csv.QUOTE_ALL)
    buffer.write(MARK)
    writer.writerow(header)
    for row in rows:
        writer.writerow([_text(cell, locale.decimal) for cell in row])
        if buffer.tell() >= CHUNK_CHARS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _text(cell: Cell, decimal: str) -> str:
    if isinstance(cell, str):
        return guarded(cell).replace("\0", "\ufffd")  # no spreadsheet reads a NUL
    if cell is None:
        return ""
    return str(cell).replace(".", decimal)
