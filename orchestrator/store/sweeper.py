"""Forgets what is no longer needed, in small steps between which everything else goes on."""

import asyncio

import structlog

from orchestrator.config import Settings
from orchestrator.errors import StoreUnavailableError
from orchestrator.store import Store

STEP_PAUSE_S = 0.05
BLOCKED_PAUSE_S = 1.0
TELL_BLOCKED = 10

log = structlog.get_logger()


async def sweep(settings: Settings, store: Store) -> None:
    """Purges for as long as the service runs."""
    blocked = 0
    while True:
        try:
            more = await store.purge.step(store.clock.now(), settings.tombstone_ttl_seconds)
        except StoreUnavailableError as error:
            log.warning("purge_failed", reason=str(error))
            more = False
        blocked = blocked + 1 if store.purge.blocked else 0
        if blocked == TELL_BLOCKED:
            log.warning(
                "purge_blocked", reason="another program reads the database, whose log keeps what was deleted"
            )
        pause_s = BLOCKED_PAUSE_S if blocked else STEP_PAUSE_S
        await asyncio.sleep(pause_s if more else settings.purge_interval_s)
