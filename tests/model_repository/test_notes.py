"""Notes from preprocess to postprocess: each item gets its own, and none is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model_repository.beside import beside

writing, reading = beside("note_writer"), beside("note_reader")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Any]:
    made = writing.NoteWriter(writing.notes_folder(str(tmp_path)))
    yield made
    made.close()


@pytest.fixture
def reader(tmp_path: Path) -> Any:
    return reading.NoteReader(str(tmp_path))


def left(tmp_path: Path) -> list[Path]:
    return list(writing.notes_folder(str(tmp_path)).iterdir())


def test_by_id(writer: Any, reader: Any, tmp_path: Path) -> None:
    """An item's note is found by its request's id, once."""
    writer.write("item/ñ 1", "p", ("truncated",), 0.5)
    writer.write("item 2", "p", ("control_tokens",), 1.0)
    assert reader.take("item/ñ 1") == reading.Note(("truncated",), 0.5)
    assert reader.take("item/ñ 1") == reading.NOTHING
    assert reader.take("item 2").flags == ("control_tokens",)
    assert not left(tmp_path)


def test_most_items_cost_nothing(writer: Any, reader: Any, tmp_path: Path) -> None:
    """Without flags nothing is written for a request with an id."""
    writer.write("1", "p", (), 1.0)
    assert not left(tmp_path)
    assert reader.take("1") == reading.NOTHING


def test_by_prompt(writer: Any, reader: Any) -> None:
    """Without an id the note is found by the prompt, which is taken off the answer."""
    for prompt in ("què", "què més", "à"):
        writer.write("", prompt, (prompt,), 1.0)
    for prompt in ("què", "què més", "à"):
        note, answer = reader.split(f'{prompt}{{"nota": 1}}'.encode())
        assert (note.flags, answer) == ((prompt,), b'{"nota": 1}')
    assert reader.split(b"unknown") == (reading.NOTHING, b"unknown")


def test_what_nobody_takes_is_removed(
    writer: Any, reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes of items that failed on the way go with time, those that were written anew stay."""
    now = 1000.0
    monkeypatch.setattr(writing.time, "monotonic", lambda: now)
    writer.write("lost", "p", ("truncated",), 0.5)
    writer.write("", "probe", (), 1.0)
    now += writing.MAX_AGE_S - 1
    writer.write("", "probe", (), 1.0)
    now += 2
    writer.write("new", "p", ("truncated",), 0.5)
    assert reader.take("lost") == reading.NOTHING
    assert reader.split(b"probe!") == (reading.Note(), b"!")
    assert len(left(tmp_path)) == 2


def test_without_a_writer(reader: Any) -> None:
    """A reader that starts first, or outlives the writer, finds nothing and says so."""
    assert reader.take("1") == reading.NOTHING
    assert reader.split(b"x") == (reading.NOTHING, b"x")
