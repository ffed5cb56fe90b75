"""Notes from preprocess to postprocess, about items that Triton can't carry them for.

A step of an ensemble may take what comes from a decoupled model (gemma2) or what doesn't, never both; nor
may the ensemble's outputs. So what preprocess notices goes past gemma2, in a small file in memory that
postprocess (``note_reader.py``) takes away again.

A note is found by the request's id. A request without one has its prompt prepended to its answer
(``exclude_input_in_output`` false), and its note is found by that prompt's hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108  where Linux keeps files in memory
MAX_AGE_S = 900.0
"""Longer than any item takes. What is older was never taken: its item has failed on the way."""


def notes_folder(repository: str) -> Path:
    """Where the notes of one server lie; ``repository`` is its model repository."""
    base = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    name = hashlib.sha256(os.fsencode(Path(repository).resolve())).hexdigest()[:16]
    return base / f"avalua-notes-{os.getuid()}-{name}"


def name_by_id(request_id: str) -> str:
    return "id-" + hashlib.sha256(request_id.encode("utf-8", "replace")).hexdigest()[:32]


def name_by_prompt(prompt: bytes) -> str:
    return f"prompt-{len(prompt)}-" + hashlib.sha256(prompt).hexdigest()[:32]


class NoteWriter:
    """Writes notes, and removes those that nobody has taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Left by an earlier run of this server, which is over: Triton starts preprocess once.
        left = sorted(folder.iterdir(), key=lambda path: path.name)
        now = time.monotonic()
        self._written = dict.fromkeys(left, now)  # when, the oldest first

    def write(self, request_id: str, prompt: str, flags: Sequence[str], share_kept: float) -> None:
        """Leave a note. With an id, only where there is something to say: most items cost nothing."""
        self._remove_old()
        if request_id and not flags:
            return
        name = name_by_id(request_id) if request_id else name_by_prompt(prompt.encode())
        path = self._folder / name
        # Renamed into place, so that it is never read half-written.
        draft = self._folder / f".{name}"
        draft.write_text(json.dumps({"flags": list(flags), "share_kept": share_kept}), encoding="ascii")
        draft.rename(path)
        # Written anew, it is the youngest.
        self._written.pop(path, None)
        self._written[path] = time.monotonic()

    def close(self) -> None:
        """Remove the notes that are left, and their folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _remove_old(self) -> None:
        limit = time.monotonic() - MAX_AGE_S
        while self._written:
            path = next(iter(self._written))
            if self._written[path] >= limit:
                return
            del self._written[path]
            path.unlink(missing_ok=True)
