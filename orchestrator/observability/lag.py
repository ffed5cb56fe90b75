"""How late the event loop is: what keeps it from running what is due keeps every client waiting."""

import asyncio

from prometheus_client import Histogram

INTERVAL_S = 0.25


async def watch_lag(seconds: Histogram) -> None:
    """Sleeps, and observes how much too long that took, for as long as the service runs."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_S
        await asyncio.sleep(INTERVAL_S)
        seconds.observe(max(0.0, loop.time() - due))
