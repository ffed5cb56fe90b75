"""When a server is probed, and how long an answer may take. Pure: moments are passed in."""

from collections import deque

from orchestrator.jobs import Item

PROBE = Item(
    0, "probe", "3r ESO", "Escriu una frase sobre la pluja.", "La pluja mulla els carrers del poble."
)
GAPS = 32
"""Pauses between answers that are looked back at."""
PATIENCE = 3.0
"""Times the longest of them."""


class Probing:
    """Of one connection. Readiness endpoints can lie: only an answer of the model's counts.

    A probe stands in the same queue as items. So any good answer meanwhile prolongs its time, and where
    answers come slowly it may take longer.
    """

    def __init__(self, *, interval_s: float, timeout_s: float, most_s: float, now: float) -> None:
        self._interval_s, self._timeout_s, self._most_s = interval_s, timeout_s, most_s
        self._heard_at = self._busy_since = now
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._doubted = False
        self._again_at = now
        self._pause_s = 0.0
        self.asked_at: float | None = None  # of the probe that is out

    @property
    def patience_s(self) -> float:
        """How long nothing at all may be heard while a probe is out."""
        slowest = PATIENCE * max(self._gaps, default=0.0)
        return max(self._timeout_s, min(self._most_s, slowest))

    def doubt(self) -> None:
        """Something failed in a way that a dead model would explain."""
        self._doubted = True

    def busy(self, now: float) -> None:
        """Something was sent where nothing was waited for."""
        self._busy_since = now

    def heard(self, now: float, *, waiting: bool) -> None:
        """A good answer came; `waiting`: others had been waited for since the last one."""
        if waiting:
            self._gaps.append(now - max(self._heard_at, self._busy_since))
        self._heard_at = now

    def due(self, now: float, *, up: bool) -> bool:
        """Whether to send a probe now. There is at most one out."""
        if self.asked_at is not None or now < self._again_at:
            return False
        return self._doubted or not up or now - self._heard_at >= self._interval_s

    def asked(self, now: float) -> None:
        self._doubted = False
        self.asked_at = now

    def answered(self, now: float, *, good: bool, most_pause_s: float) -> None:
        """The probe is no longer out. After a bad answer the next one waits, longer each time."""
        self.asked_at = None
        self._pause_s = 0.0 if good else min(most_pause_s, max(0.1, self._pause_s * 2))
        self._again_at = now + self._pause_s

    def late(self, now: float) -> bool:
        """Whether the probe that is out should have been answered by now."""
        return self.asked_at is not None and now - max(self.asked_at, self._heard_at) >= self.patience_s
