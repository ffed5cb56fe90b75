"""Tables of results in either form, which take rows in parts and give a file in pieces."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from orchestrator.api.exports.columns import Cell
from orchestrator.api.exports.csv_table import CsvTable
from orchestrator.api.exports.locales import Locale
from orchestrator.api.exports.xlsx_table import XlsxTable

TABLES: Final = ("csv", "xlsx")


class Table(Protocol):
    """Not bound to a thread, but for one at a time."""

    def add(self, rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
        """Takes rows; gives what of the file is ready, which may be nothing."""

    def finish(self) -> Iterator[bytes]:
        """The rest of the file."""

    def close(self) -> None:
        """Gives back what the table holds, whether or not it was finished."""


def make_table(form: str, header: Sequence[str], locale: Locale) -> Table:
    """An empty table in a form of TABLES."""
    return CsvTable(header, locale) if form == "csv" else XlsxTable(header)
