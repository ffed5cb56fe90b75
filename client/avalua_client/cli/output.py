"""What a person sees: lines on the error stream, and progress where somebody watches."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import suppress

LOG_LINES = 10
"""So many lines of progress a run writes where nobody watches."""
SETTLE_S = 2.0
WIDTH = 78


def prepare_streams() -> None:
    """A console or file that lacks a letter gets an escape in its place, never an error."""
    # Closed by who started us: what is said then goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def plain(text: str) -> str:
    """``text`` in one line, and without what a terminal takes for a command."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def say(text: str) -> None:
    """One line for a person. The standard output is left for results."""
    with suppress(OSError):
        print(plain(text), file=sys.stderr, flush=True)


def give(text: str) -> None:
    """A result. Raises BrokenPipeError where its reader has gone."""
    print(text, flush=True)


def leave_pipe() -> None:
    """Whoever read our output has gone: Python must not fail over that at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class ProgressLine:
    """``1200 of 2000 (60 %), 5.1 texts/s, 2 min 37 s left``: in one line that changes, or a few in a log."""

    def __init__(self, total: int, *, resumed: bool = False) -> None:
        """``resumed``: what comes at first was finished before, and says nothing of the rate."""
        self._total = total
        self._settles_at = time.monotonic() + (SETTLE_S if resumed else 0.0)
        self._begun = time.monotonic()
        self._first: int | None = None
        self._watched = sys.stderr.isatty()
        self._shown = -1
        self._waiting = False

    def show(self, done: int) -> None:
        """``done`` texts have a result."""
        self._waiting = False
        now = time.monotonic()
        if self._first is None or now < self._settles_at:
            self._first, self._begun = done, now
        if self._watched:
            with suppress(OSError):
                print(f"\r{self._words(done):<{WIDTH}}", end="", file=sys.stderr, flush=True)
            return
        step = done * LOG_LINES // max(1, self._total)
        if step > self._shown:
            self._shown = step
            say(self._words(done))

    def wait(self, why: str) -> None:
        """Nothing comes at the moment, and why: once until something comes again."""
        if not self._waiting:
            self._waiting = True
            self.end()
            say(why)

    def end(self) -> None:
        """What follows begins on a line of its own."""
        if self._watched and self._first is not None:
            with suppress(OSError):
                print(file=sys.stderr, flush=True)

    def _words(self, done: int) -> str:
        words = f"{done} of {self._total} ({100 * done // max(1, self._total)} %)"
        passed_s = time.monotonic() - self._begun
        fresh = done - (self._first or 0)
        if fresh <= 0 or passed_s <= 0:
            return words
        rate = fresh / passed_s
        return f"{words}, {rate:.1f} texts/s, {duration((self._total - done) / rate)} left"


def duration(seconds: float) -> str:
    """``2 min 37 s``, as long as it takes to be of use."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
