"""Errors that end in the event loop itself: said, but not a thousand times."""

import asyncio
import re
import time
from typing import Any

import structlog

from orchestrator.observability.logs import where

AGAIN_AFTER_S = 10.0
MAX_KINDS = 100
_WORDS = re.compile(r"[A-Za-z.() ]{1,60}")

log = structlog.get_logger()


class LoopErrors:
    """An exception handler for the loop that logs each kind of error once in a while.

    Without descriptors, asyncio reports every try to accept a connection, some hundred of them a second.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        about = _WORDS.match(context["message"])  # what follows may quote arguments
        kind = (type(error).__name__, about[0].strip() if about else "")
        now = time.monotonic()
        if now - self._said.get(kind, -AGAIN_AFTER_S) < AGAIN_AFTER_S:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        if len(self._said) >= MAX_KINDS:
            self._said.clear()
            self._unsaid.clear()
        self._said[kind] = now
        details = where(error) if isinstance(error, BaseException) else {}
        log.error("loop_error", about=kind[1], not_said=self._unsaid.pop(kind, 0), **details)
