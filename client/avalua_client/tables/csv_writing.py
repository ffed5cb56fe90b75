"""A table as CSV (RFC 4180) for people: with a byte order mark, each cell quoted, and none a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from avalua_client.tables.formulas import guarded
from avalua_client.tables.locales import Locale
from avalua_client.tables.table import Cell

MARK: Final = "\ufeff"  # without it Excel takes UTF-8 for Windows-1252
CHUNK_CHARS: Final = 65_536


class CsvTable:
    """A file that grows by rows and is given out piece by piece."""

    def __init__(self, header: Sequence[str], locale: Locale, before: Sequence[Sequence[Cell]] = ()) -> None:
        """``before`` are rows above the headings."""
        self._locale = locale
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, delimiter=locale.separator, quoting=csv.QUOTE_ALL)
        self._buffer.write(MARK)
        for row in (*before, header):
            self._writer.writerow([_text(cell, locale.decimal) for cell in row])

    def add(self, rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
        """Takes rows; gives what of the file is ready, which may be nothing."""
        for row in rows:
            self._writer.writerow([_text(cell, self._locale.decimal) for cell in row])
            if self._buffer.tell() >= CHUNK_CHARS:
                yield from self.finish()

    def finish(self) -> Iterator[bytes]:
        """What was not given out yet."""
        yield self._buffer.getvalue().encode()
        self._buffer.seek(0)
        self._buffer.truncate()

    def close(self) -> None:
        """Nothing is held that would have to be given back."""


def _text(cell: Cell, decimal: str) -> str:
    if isinstance(cell, str):
        return guarded(cell).replace("\0", "\ufffd")  # no spreadsheet reads a NUL
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).upper()
    return str(cell).replace(".", decimal)
