"""What the handlers work with, and the order in which it comes to rest."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import structlog

from orchestrator.api.bodies import Bodies
from orchestrator.api.parser import Parser
from orchestrator.broker import Feed
from orchestrator.config import Settings
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Store
from orchestrator.triton.gpu import GpuWatch
from orchestrator.triton.pool import Link
from orchestrator.worker.claims import Intake
from orchestrator.worker.committer import Writer
from orchestrator.worker.worker import Dispatcher

FLUSH_TIMEOUT_S = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service."""

    settings: Settings
    store: Store
    writer: Writer
    feed: Feed
    dispatcher: Dispatcher
    intake: Intake
    link: Link
    gpu: GpuWatch
    metrics: Metrics
    bodies: Bodies
    parser: Parser
    exports: asyncio.Semaphore  # tables that may be made at once
    tables: asyncio.Semaphore  # tables that may have a file at once, until they are sent

    async def drain(self) -> None:
        """Refuses new jobs, lets what is in flight finish, commits, ends the streams; all with deadlines."""
        if self.feed.closing:
            return
        log.info("draining", in_flight=self.dispatcher.in_flight, timeout_s=self.settings.drain_timeout_s)
        await self.dispatcher.drain()
        with suppress(TimeoutError):  # what can't be written now is done again after the next start
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await self.writer.written()
        self.feed.close()
        log.info("drained", in_flight=self.dispatcher.in_flight)
