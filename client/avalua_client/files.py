"""A file of texts in, the same file with marks out."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avalua_client.client import AvaluaClient, encoded
from avalua_client.errors import ConfigurationError
from avalua_client.evaluation import Evaluation
from avalua_client.models import Result
from avalua_client.state import State
from avalua_client.tables import Columns, Kind, Prepared, Problem, Table, find_columns, prepare, read, write

KINDS: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}
SPARE_NAMES = 100
NOT_AN_ITEM = "not_an_item"


@dataclass(frozen=True)
class Reading:
    """How a file is read, where it is not as it says itself. ``columns`` names a column for a field."""

    columns: Mapping[str, str] = field(default_factory=dict)
    curso: str | None = None
    consigna: str | None = None
    """For files that have no such column."""
    kind: Kind | None = None
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A file as it was read, with the items in it."""

    table: Table
    columns: Columns
    prepared: Prepared

    @property
    def not_sent(self) -> list[Problem]:
        """Rows that hold a text, and lack what marking it needs."""
        return [problem for problem in self.prepared.problems if problem.code != NOT_AN_ITEM]

    def row_number(self, place: int) -> int:
        """Where an item stands in the file, as a spreadsheet counts."""
        return self.table.row_numbers[self.prepared.rows[place]]


@dataclass(frozen=True)
class Outcome:
    """What came of a file. ``results`` are by the item's place, ``target`` is where they were written."""

    sheet: Sheet = field(repr=False)  # texts don't belong in a log
    results: Mapping[int, Result] = field(repr=False)
    job_ids: tuple[str, ...]
    target: Path
    ended_early: str = ""

    @property
    def marked(self) -> int:
        return sum(result.ok for result in self.results.values())

    @property
    def not_marked(self) -> int:
        """Texts that were sent and have no mark."""
        return len(self.sheet.prepared.items) - self.marked

    @property
    def complete(self) -> bool:
        """Whether each text in the file has a mark."""
        return not (self.not_marked or self.sheet.not_sent)


def load_file(source: Path, reading: Reading) -> Sheet:
    """Read a file. Blocking. Raises TableError, OSError."""
    return load(source.read_bytes(), source.name, reading)


def load(data: bytes, name: str, reading: Reading) -> Sheet:
    """Read a file's bytes; ``name`` says what kind it is. Blocking. Raises TableError."""
    table = read(
        data,
        name=name,
        kind=reading.kind,
        encoding=reading.encoding,
        separator=reading.separator,
        sheet=reading.sheet,
    )
    columns = find_columns(table.columns, reading.columns)
    prepared = prepare(table, columns, curso=reading.curso, consigna=reading.consigna)
    return Sheet(table, columns, prepared)


def save(sheet: Sheet, results: Mapping[int, Result], target: Path, locale: str) -> Path:
    """Write every row with its marks, as a whole or not at all; where that was.

    A file that can't be replaced, as one that is open in a spreadsheet, stays, and another name is taken.
    """
    by_row: dict[int, Mapping[str, Any]] = {
        sheet.prepared.rows[place]: result.raw for place, result in results.items()
    }
    places = {number: place for place, number in enumerate(sheet.table.row_numbers)}
    for problem in sheet.not_sent:
        error = {"code": problem.code, "message": problem.message}
        by_row[places[problem.row]] = {"status": "not sent", "error": error}
    content = write(sheet.table, by_row, kind=kind_of(target), locale=locale)
    # Not by tempfile, whose files are their owner's alone: this one becomes an ordinary one.
    made = target.with_name(f".{secrets.token_hex(4)}{target.suffix}")
    try:
        made.write_bytes(content)
        return _replace(made, target)
    finally:
        with suppress(OSError):
            made.unlink()


async def evaluate_file(
    client: AvaluaClient,
    source: Path,
    target: Path,
    *,
    sheet: Sheet | None = None,
    reading: Reading | None = None,
    locale: str = "ca",
    priority: str | None = None,
    state: State | None = None,
    on_start: Callable[[Sheet, Evaluation], None] | None = None,
    on_batch: Callable[[], None] | None = None,
) -> Outcome:
    """Mark ``source`` into ``target``: all its rows and columns in their order, marks beside them.

    ``sheet`` is what ``source`` holds, where it was read already.
    ``on_start`` is told what was read before anything is sent, ``on_batch`` that results came. Raises
    AvaluaError, TableError, OSError.
    """
    check_target(source, target)
    if sheet is None:
        sheet = await asyncio.to_thread(load_file, source, reading or Reading())
    items = [encoded(item) for item in sheet.prepared.items]
    evaluation = Evaluation(client, items, priority=priority, state=state)
    if on_start is not None:
        on_start(sheet, evaluation)
    async with aclosing(evaluation.run()) as batches:
        async for _ in batches:
            if on_batch is not None:
                on_batch()
    written = await asyncio.to_thread(save, sheet, evaluation.results, target, locale)
    return Outcome(sheet, evaluation.results, tuple(evaluation.job_ids), written, evaluation.ended_early)


def kind_of(path: Path) -> Kind:
    """What a file of that name holds. Raises ConfigurationError."""
    try:
        return KINDS[path.suffix.lower()]
    except KeyError:
        raise ConfigurationError(
            f"{path.name}: the name must end in .xlsx, .csv, .json or .ndjson, which says how to write it."
        ) from None


def check_target(source: Path, target: Path) -> None:
    """Raises ConfigurationError where marks could not be written in the end: said before hours of work."""
    kind_of(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigurationError(
            f"{target} is the file that is read, and is not written to: name another one."
        )
    if target.is_dir():
        raise ConfigurationError(f"{target} is a folder: name a file in it.")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise ConfigurationError(f"{target.parent} can't be written to: {error.strerror}.") from None


def _replace(made: Path, target: Path) -> Path:
    for number in range(1, SPARE_NAMES):
        chosen = target if number == 1 else target.with_name(f"{target.stem}-{number}{target.suffix}")
        if number > 1 and chosen.exists():
            continue
        try:
            made.replace(chosen)
        except PermissionError:
            continue
        return chosen
    made.replace(target)
    return target
