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


class CsvTable:
    """A file that grows by rows and is given out piece by piece."""

    def __init__(self, header: Sequence[str], locale: Locale) -> None:
        self._locale = locale
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, delimiter=locale.separator, quoting=csv.QUOTE_ALL)
        self._buffer.write(MARK)
        self._writer.writerow(header)

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
    return str(cell).replace(".", decimal)
