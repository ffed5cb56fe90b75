"""Tables of results in either form, which take rows in parts and give a file in pieces."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from avalua_client.tables.csv_writing import CsvTable
from avalua_client.tables.locales import Locale
from avalua_client.tables.table import Cell
from avalua_client.tables.xlsx_writing import XlsxTable

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
