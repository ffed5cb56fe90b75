"""The time by which jobs are stamped and expire."""

import time

CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""On Linux it goes on while the machine sleeps."""


class Clock:
    """The database's clock, read once, and carried on by a clock that never jumps.

    So all processes on one database agree, and a wall clock that is set an hour on expires nothing early.
    """

    def __init__(self, now: float) -> None:
        self._ahead_s = now - time.clock_gettime(CLOCK)

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.clock_gettime(CLOCK) + self._ahead_s
