"""A process's wall clock that somebody else can move while it runs."""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path

OFFSET = struct.Struct("d")


def move(path: Path, offset_s: float) -> None:
    """Set how far the clock that reads ``path`` is from the true time, in seconds, from now on."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, OFFSET.pack(offset_s), 0)
    finally:
        os.close(file)


def follow(path: Path) -> None:
    """Have ``time.time`` of this process go by ``path``; to be called before anything takes it for itself.

    ``datetime.now`` stays: only log lines have their time from there.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        offset = mmap.mmap(file, OFFSET.size, prot=mmap.PROT_READ)
    finally:
        os.close(file)
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + OFFSET.unpack_from(offset)[0]
    time.time_ns = lambda: true_time_ns() + int(OFFSET.unpack_from(offset)[0] * 1e9)
