"""Lines of a log, written by a thread of their own: who writes them never waits for them and never fails.

A disk that is full, a reader that is gone and one that stands still each cost lines, and nothing else.
"""

import io
import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Full, Queue


class LineWriter(io.TextIOBase):
    """A text stream over a file descriptor; each `write` is one line or more, whole.

    What can't be written is dropped and counted. Once lines can be written again, `notice` makes the line
    that says how many were dropped.
    """

    def __init__(
        self,
        descriptor: int,
        max_lines: int,
        notice: Callable[[int], str] | None = None,
        encoding: str = "utf-8",
    ) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._notice = notice
        self._encoding = encoding
        self._queue: Queue[str | threading.Event] = Queue(max_lines)
        self._counting = threading.Lock()
        self._dropped = 0
        self._torn = False  # the last line was written in part
        threading.Thread(target=self._run, name="log-writer", daemon=True).start()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Queues it, or drops it where as many lines wait as may."""
        try:
            self._queue.put_nowait(text)
        except Full:
            self._drop()
        return len(text)

    def drain(self, timeout_s: float) -> bool:
        """Waits until everything queued so far was written or dropped; false if that takes too long."""
        done = threading.Event()
        try:
            self._queue.put(done, timeout=timeout_s)
        except Full:
            return False
        return done.wait(timeout_s)

    def _drop(self) -> None:
        with self._counting:
            self._dropped += 1

    def _run(self) -> None:
        while True:
            entry = self._queue.get()
            if isinstance(entry, threading.Event):
                entry.set()
            elif not (self._tell_dropped() and self._put(entry)):
                self._drop()

    def _tell_dropped(self) -> bool:
        with self._counting:
            count = self._dropped
        if count == 0:
            return True
        if self._notice is not None and not self._put(self._notice(count)):
            return False
        with self._counting:
            self._dropped -= count
        return True

    def _put(self, text: str) -> bool:
        """Whether it was written, all of it."""
        start = b"\n" if self._torn else b""  # a line of its own, whatever stands there
        data = start + text.encode(self._encoding, "backslashreplace")
        written = 0
        try:
            while written < len(data):
                try:
                    written += os.write(self._descriptor, data[written:])
                except BlockingIOError:  # somebody who shares it made it so
                    select.select([], [self._descriptor], [])
        except OSError:
            self._torn = written > len(start) if written else self._torn
            return False
        self._torn = False
        return True


def keep_standard_streams_open() -> None:
    """Opens those of descriptors 0 to 2 that are closed, on nothing.

    Else the next file opened, such as the database, would get the number that libraries write complaints to.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def complain(line: str) -> None:
    """A last line on standard error, for whoever still reads it."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode(errors="backslashreplace"))
