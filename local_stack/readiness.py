"""Waiting for a server that was just started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp

from local_stack.child import Child
from local_stack.errors import CrashError, StackError

POLL_S = 0.2
ANSWER_TIMEOUT_S = 2.0


async def wait_ready(child: Child, url: str, timeout_s: float, say: Callable[[str], None]) -> None:
    """Return once ``url`` answers 200.

    Raises StackError if the child ends first or takes too long: CrashError if a crash ended it.
    """
    started = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)) as session:
        while not await _answers(session, url):
            elapsed = time.monotonic() - started
            if not child.running:
                kind = CrashError if child.crashed else StackError
                raise kind(f"{child.exit_description()}. {child.log_tail()}")
            if elapsed > timeout_s:
                raise StackError(f"{child.name} is not ready after {timeout_s:.0f} s. {child.log_tail()}")
            say(f"{child.name} is starting ... {elapsed:.0f} s")
            # A server has no way to tell that it is ready but to be asked.
            await asyncio.sleep(POLL_S)
    say(f"{child.name} is ready after {time.monotonic() - started:.1f} s.\n")


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
