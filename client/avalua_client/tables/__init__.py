"""Tables as people have them: read, understood, and written again with marks beside. Without a network."""

from avalua_client.tables.headings import Columns, find_columns
from avalua_client.tables.preparing import Prepared, Problem, prepare
from avalua_client.tables.reading import read
from avalua_client.tables.table import Cell, Kind, Limits, Source, Table, TableError
from avalua_client.tables.writing import COLUMNS, write

__all__ = [
    "COLUMNS",
    "Cell",
    "Columns",
    "Kind",
    "Limits",
    "Prepared",
    "Problem",
    "Source",
    "Table",
    "TableError",
    "find_columns",
    "prepare",
    "read",
    "write",
]
