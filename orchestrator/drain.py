"""The order in which a service comes to rest."""

import asyncio
from contextlib import suppress

import structlog

from orchestrator.api.bodies import Bodies
from orchestrator.broker import Broker
from orchestrator.config import Settings
from orchestrator.errors import StoreUnavailableError
from orchestrator.worker.changes import Changes
from orchestrator.worker.claiming import Claiming
from orchestrator.worker.worker import Worker

FLUSH_TIMEOUT_S = 2.0

log = structlog.get_logger()


class Drain:
    """Refuses new jobs, lets what is in flight finish, commits, hands claims over, ends the streams.

    Each step has a deadline: what could not be written is done again by whoever has the job next.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        bodies: Bodies,
        broker: Broker,
        changes: Changes,
        worker: Worker | None,
        claiming: Claiming | None,
    ) -> None:
        self._settings = settings
        self._bodies = bodies
        self._broker = broker
        self._changes = changes
        self._worker = worker
        self._claiming = claiming
        self.started = False

    @property
    def in_flight(self) -> int:
        """Items at Triton for this process."""
        return self._worker.in_flight if self._worker is not None else 0

    async def run(self) -> None:
        """Drains once; a second call returns at once."""
        if self.started:
            return
        self.started = True
        self._bodies.close()
        log.info("draining", in_flight=self.in_flight, timeout_s=self._settings.drain_timeout_s)
        if self._claiming is not None and self._worker is not None:
            self._claiming.stop()
            await self._worker.drain(self._settings.drain_timeout_s)
            with suppress(TimeoutError, StoreUnavailableError):
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await self._changes.drained()
                    await self._claiming.hand_over()
        self._broker.close()
        log.info("drained")
