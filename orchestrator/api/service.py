"""What the handlers work with."""

import asyncio
from dataclasses import dataclass

from orchestrator.api.admission import Admission
from orchestrator.api.backlog import RecentBacklog
from orchestrator.api.bodies import Bodies
from orchestrator.api.parser import Parser
from orchestrator.broker import Broker
from orchestrator.config import Settings
from orchestrator.drain import Drain
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Store
from orchestrator.triton.gpu import GpuWatch
from orchestrator.triton.pool import Pool
from orchestrator.worker.committer import Committer


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service."""

    settings: Settings
    store: Store
    backlog: RecentBacklog
    broker: Broker
    committer: Committer
    admission: Admission
    pool: Pool | None  # where this process is a worker
    gpu: GpuWatch
    metrics: Metrics
    bodies: Bodies
    parser: Parser
    drain: Drain
    exports: asyncio.Semaphore  # tables that may be made at once
    tables: asyncio.Semaphore  # tables that may have a file at once, until they are sent
