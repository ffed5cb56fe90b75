"""A folder that one process uses at a time, and nobody else reads."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

LOCK = ".lock"
POLL_S = 0.05


class InUseError(RuntimeError):
    """Another process uses the folder. Its text names both."""


def claim(folder: Path, wait_s: float = 0.0) -> int:
    """Make ``folder`` if it is missing, and take it: an open file, whose lock ends when it is closed.

    Raises InUseError where another process has it and keeps it for ``wait_s``; OSError if it can't be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(lock)
                raise
        if time.monotonic() >= deadline:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise InUseError(f"{folder} is in use by process {owner or 'unknown'}")
        time.sleep(POLL_S)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
