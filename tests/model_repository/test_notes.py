"""Notes from preprocess to postprocess: each item gets its own, and what is lost is unknown."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model_repository.beside import beside

notes, flags = beside("notes"), beside("flags")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Any]:
    made = notes.Notes(tmp_path)
    yield made
    made.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Any]:
    made = notes.Notes(tmp_path)
    yield made
    made.close()


def test_by_id(writer: Any, reader: Any) -> None:
    """An item's note is found by its request's id, once; without flags, too."""
    writer.write("item/ñ 1", ("truncated", "damaged_text"), 0.5)
    writer.write("item 2", (), 1.0)
    assert reader.take("item/ñ 1") == notes.Note(("truncated", "damaged_text"), 0.5)
    assert reader.take("item/ñ 1") is None
    assert reader.take("item 2") == notes.Note((), 1.0)
    assert reader.take("never written") is None


def test_all_flags_fit(writer: Any, reader: Any) -> None:
    """Every flag that preprocess knows comes out as it went in, in its order."""
    writer.write("all", flags.ORDER, 0.25)
    assert reader.take("all") == notes.Note(flags.ORDER, 0.25)


def test_a_new_writer_loses_nothing(tmp_path: Path, writer: Any, reader: Any) -> None:
    """Preprocess is loaded anew while items are on their way: their notes are still there."""
    for number in range(500):
        writer.write(f"old {number}", ("truncated",), 0.5)
    writer.close()
    second = notes.Notes(tmp_path)
    second.write("new", (), 1.0)
    assert second._sequence > 500
    assert all(reader.take(f"old {number}") is not None for number in range(500))
    assert reader.take("new") is not None
    second.close()


def test_two_items_with_one_id_are_unknown(writer: Any, reader: Any) -> None:
    """Neither gets the other's flags; the id may be used again afterwards."""
    writer.write("twice", ("truncated",), 0.5)
    writer.write("twice", (), 1.0)
    assert reader.take("twice") is None
    assert reader.take("twice") is None
    writer.write("twice", (), 1.0)
    assert reader.take("twice") == notes.Note((), 1.0)


def test_a_record_that_was_half_written_is_unknown(writer: Any, reader: Any, tmp_path: Path) -> None:
    """Whichever byte of it is wrong."""
    for byte in range(notes._RECORD):
        writer.write("torn", ("truncated",), 0.5)
        (place,) = (
            record.place
            for bucket in [notes._digest("torn")[1]]
            for record in writer._records(bucket)
            if record.sequence
        )
        with (tmp_path / notes.FILE).open("r+b") as file:
            file.seek(place + byte)
            old = file.read(1)
            file.seek(place + byte)
            file.write(bytes([old[0] ^ 0x55]))
        assert reader.take("torn") is None
        writer._table[place : place + notes._RECORD] = notes._EMPTY


def test_bounded_and_constant(writer: Any, reader: Any, tmp_path: Path) -> None:
    """A hundred thousand notes that nobody takes grow nothing, and leave the newest to be found as fast."""
    assert (tmp_path / notes.FILE).stat().st_size == notes.SIZE_BYTES
    assert stat.S_IMODE((tmp_path / notes.FILE).stat().st_mode) == 0o600

    def seconds(name: str) -> float:
        begin = time.process_time()
        for number in range(2000):
            writer.write(f"{name} {number}", (), 1.0)
            assert reader.take(f"{name} {number}") is not None
        return time.process_time() - begin

    few = seconds("few")
    for number in range(100_000):
        writer.write(f"left {number}", ("truncated",), 0.5)
    assert seconds("many") < 5 * few
    assert (tmp_path / notes.FILE).stat().st_size == notes.SIZE_BYTES
    assert reader.take("left 99999") is not None
    assert reader.take("left 0") is None


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """No table, and one sentence that says what follows and what to do."""
    table, problem = notes.open_notes(tmp_path / "missing")
    assert table is None
    assert "unchecked" in problem
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / notes.FILE).symlink_to(tmp_path / "elsewhere")
    assert notes.open_notes(tmp_path)[0] is None, "a link could lead anywhere"
