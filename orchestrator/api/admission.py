"""Takes jobs in while there is room, and has them ended when a client asks."""

import time
from uuid import uuid4

import structlog

from orchestrator.api.backlog import RecentBacklog
from orchestrator.broker import Broker
from orchestrator.config import Settings
from orchestrator.drain import Drain
from orchestrator.errors import DrainingError, NotLoadedError, QueueFullError, StoreUnavailableError
from orchestrator.jobs import Job, Status
from orchestrator.jobs.backlog import next_end_s, seconds
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Store
from orchestrator.store.creation import Created
from orchestrator.store.posted import Posted
from orchestrator.triton.pool import Pool
from orchestrator.worker.committer import Committer

FLEET_AGE_S = 1.0

log = structlog.get_logger()


class Admission:
    """Over all processes on one database."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        backlog: RecentBacklog,
        broker: Broker,
        committer: Committer,
        pool: Pool | None,
        drain: Drain,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._store = store
        self._backlog = backlog
        self._broker = broker
        self._committer = committer
        self._pool = pool
        self._drain = drain
        self._metrics = metrics
        self._loaded = False
        self._fleet_at = float("-inf")
        self._workers = 1

    async def known(self, key: str | None) -> Created | None:
        """The job that this Idempotency-Key made before; it is answered however busy we are."""
        if self._drain.started:
            raise DrainingError
        return None if key is None else await self._store.creation.by_key(key)

    async def loaded(self) -> bool:
        """Whether some model has answered since this process started: here, or at another worker."""
        if self._pool is not None and self._pool.loaded.is_set():
            self._loaded = True
        if not self._loaded and self._store.shared and time.monotonic() - self._fleet_at > FLEET_AGE_S:
            self._fleet_at = time.monotonic()
            fleet = await self._store.claims.fleet()
            self._loaded, self._workers = fleet.triton_loaded, fleet.workers
        return self._loaded

    async def check_room(self) -> None:
        """Raises what a further job would be refused with just now. Costs little, so it comes first."""
        if self._drain.started:
            raise DrainingError
        if not await self.loaded():
            raise NotLoadedError(self._workers)
        if not self._committer.healthy:
            raise StoreUnavailableError("the database can't be written")
        backlog = await self._backlog.get()
        if backlog.jobs >= self._settings.room:
            raise QueueFullError(next_end_s(backlog.left, self._backlog.rate))

    async def submit(self, posted: Posted, key: str | None) -> Created:
        """Makes a job durable, or finds the one that this Idempotency-Key made before."""
        if (found := await self.known(key)) is not None:
            return found
        await self.check_room()
        job = Job(
            id=str(uuid4()),
            status=Status.QUEUED,
            priority=posted.priority,
            total=posted.total,
            batch_size=self._settings.batch_size,
            created_at=self._store.clock.now(),
        )
        try:
            created = await self._store.creation.create(
                job, posted.chunks, key, posted.digest, room=self._settings.room
            )
        except QueueFullError:
            backlog = await self._backlog.get()
            raise QueueFullError(next_end_s(backlog.left, self._backlog.rate)) from None
        except StoreUnavailableError as error:
            self._committer.doubt(error)
            raise
        if created.fresh:
            self._metrics.submitted.inc()
            log.info("job_accepted", job_id=job.id, items=job.total, priority=job.priority.value)
        return created

    async def seconds_until_done(self, job: Job) -> float:
        """For a job that was just taken in: its own time and that of what came before it."""
        if job.terminal:
            return 0.0
        backlog = await self._backlog.get(age_s=0.0)
        return seconds(sum(backlog.left) + backlog.waiting_items, self._backlog.rate)

    async def cancel(self, job: Job) -> Job:
        """Ends a job, wherever it is; gives it as it then stands.

        Raises StoreUnavailableError where it can't be ended now: it may be later.
        """
        if job.terminal:
            return job
        asked = await self._store.claims.request_cancel(job.id)
        if asked is not None and not asked.terminal:
            await self._broker.ended(asked, self._settings.database_timeout_s)
        self._backlog.forget()
        return await self._store.reading.job(job.id) or job
