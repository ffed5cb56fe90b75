"""Forgets what is no longer needed, in small steps between which everything else goes on."""

import asyncio
import time

import structlog

from orchestrator.config import Settings
from orchestrator.errors import StoreUnavailableError
from orchestrator.store import Step, Store

STEP_PAUSE_S = 0.05
BLOCKED_PAUSE_S = 1.0
TELL_BLOCKED = 10

log = structlog.get_logger()


async def sweep(settings: Settings, store: Store) -> None:
    """Purges for as long as the service runs."""
    pauses = {
        Step.MORE: STEP_PAUSE_S,
        Step.BLOCKED: min(BLOCKED_PAUSE_S, settings.purge_interval_s),
        Step.NOTHING_LEFT: settings.purge_interval_s,
    }
    blocked = 0
    while True:
        try:
            step = await store.purge.step(time.time(), settings.tombstone_ttl_seconds)
        except StoreUnavailableError as error:
            log.warning("purge_failed", reason=str(error))
            step = Step.NOTHING_LEFT
        blocked = blocked + 1 if step is Step.BLOCKED else 0
        if blocked == TELL_BLOCKED:
            log.warning(
                "purge_blocked", reason="another program reads the database: deleted texts stay in its log"
            )
        await asyncio.sleep(pauses[step])
