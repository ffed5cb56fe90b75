"""Forgets what is no longer needed, in small steps between which everything else goes on."""

import asyncio
import time

import structlog

from orchestrator.config import Settings
from orchestrator.errors import StoreUnavailableError
from orchestrator.store import Store

STEP_PAUSE_S = 0.05

log = structlog.get_logger()


async def sweep(settings: Settings, store: Store) -> None:
    """Purges for as long as the service runs."""
    while True:
        try:
            more = await store.purge.step(time.time(), settings.tombstone_ttl_seconds)
        except StoreUnavailableError as error:
            log.warning("purge_failed", reason=str(error))
            more = False
        await asyncio.sleep(STEP_PAUSE_S if more else settings.purge_interval_s)
