"""The service's memory while it is under load, and how much it grew."""

from __future__ import annotations

import statistics
import time

import gevent
import psutil

PAUSE_S = 1.0
MIN_SAMPLES = 8
MIB = 1024 * 1024

Sample = tuple[float, float]


class Memory:
    """Samples of a process's resident memory, in seconds since the first and MiB."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._began = time.monotonic()
        self.samples: list[Sample] = []

    def watch(self) -> None:
        """Go on until killed, or until the process has ended."""
        try:
            while True:
                rss = self._process.memory_info().rss / MIB
                self.samples.append((time.monotonic() - self._began, rss))
                gevent.sleep(PAUSE_S)
        except psutil.NoSuchProcess:
            return  # its clients notice, too


def growth_mib(samples: list[Sample]) -> float | None:
    """The median of the last quarter less that of the second; None where there is too little to tell.

    In the first quarter caches fill and memory grows in any program.
    """
    if len(samples) < MIN_SAMPLES:
        return None
    quarter = len(samples) // 4
    rss = [mib for _, mib in samples]
    return statistics.median(rss[-quarter:]) - statistics.median(rss[quarter : 2 * quarter])
