"""What preprocess noticed about an item; see its ``note_writer.py`` for why this goes past Triton."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  where Linux keeps files in memory
_BY_PROMPT = re.compile(r"prompt-(\d+)-[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Note:
    """``share_kept`` is that of the student's text."""

    flags: tuple[str, ...] = ()
    share_kept: float = 1.0


NOTHING = Note()


class NoteReader:
    """Finds the note of an item."""

    def __init__(self, repository: str) -> None:
        """``repository`` is the server's model repository."""
        base = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
        name = hashlib.sha256(os.fsencode(Path(repository).resolve())).hexdigest()[:16]
        self._folder = base / f"avalua-notes-{os.getuid()}-{name}"

    def take(self, request_id: str) -> Note:
        """The note of the request with this id, which is removed. Most items have none."""
        path = self._folder / ("id-" + hashlib.sha256(request_id.encode("utf-8", "replace")).hexdigest()[:32])
        note = self._read(path)
        if note is None:
            return NOTHING
        path.unlink(missing_ok=True)
        return note

    def split(self, output: bytes) -> tuple[Note, bytes]:
        """The note of a request without an id, and its answer, whose prompt stands before it in ``output``.

        The note stays: another request may have the same prompt. Its writer removes it in time.
        """
        lengths = {int(match[1]) for name in self._names() if (match := _BY_PROMPT.fullmatch(name))}
        for length in sorted(lengths, reverse=True):
            digest = hashlib.sha256(output[:length]).hexdigest()[:32]
            if (note := self._read(self._folder / f"prompt-{length}-{digest}")) is not None:
                return note, output[length:]
        return NOTHING, output

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._folder)  # noqa: PTH208  names alone are needed
        except FileNotFoundError:
            return []

    @staticmethod
    def _read(path: Path) -> Note | None:
        try:
            note = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        return Note(tuple(note["flags"]), float(note["share_kept"]))
