"""What a process has open."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def open_files(pid: int) -> list[str]:
    """What each of its descriptors leads to; "(deleted)" stands behind a file without a name."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(link.readlink()))
    return found
