"""How long to wait before something is tried again, and when to give up."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 120.0
"""A longer ``Retry-After`` is not taken at its word: a mistaken one must not stop a client for a day."""


@dataclass(frozen=True)
class Retry:
    """Seconds: the first wait and the longest, and for how long nothing may come of it."""

    first_s: float = 0.5
    max_s: float = 30.0
    patience_s: float = 900.0
    """While nobody answers."""
    queue_patience_s: float = 3600.0
    """While the service answers that it is full (429)."""


ONE_TRY = Retry(patience_s=0, queue_patience_s=0)
"""A question is asked once: whoever asks can ask again."""


class Backoff:
    """Waits that double, with jitter, until ``reset`` says that something came of it."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._tries = 0
        self._since: float | None = None

    def reset(self) -> None:
        """Begin anew: it went well."""
        self._tries, self._since = 0, None

    def next_wait_s(self, retry_after: str | None = None, *, full: bool = False) -> float | None:
        """How long to wait now; None where it is time to give up.

        ``retry_after`` is the header's value. With ``full`` the service has said that it has no room.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
        patience_s = self._retry.queue_patience_s if full else self._retry.patience_s
        left_s = self._since + patience_s - now
        if left_s <= 0:
            return None
        ceiling = min(self._retry.max_s, self._retry.first_s * 2 ** min(self._tries, 16))
        self._tries += 1
        wait_s = ceiling * random.uniform(0.5, 1.0)  # noqa: S311
        asked_s = read_retry_after(retry_after)
        if asked_s:
            # All who were sent away at once must not come back at once.
            wait_s = min(asked_s, MAX_RETRY_AFTER_S) + self._retry.first_s * random.random()  # noqa: S311
        return float(min(wait_s, left_s))


def read_retry_after(value: str | None) -> float | None:
    """Seconds from a ``Retry-After`` header, given as seconds or as a date; None where it says nothing."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    left = moment - datetime.now(timezone.utc)
    return max(0.0, float(left.total_seconds()))
