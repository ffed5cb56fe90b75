"""The way in: takes jobs while there is room, keeps some waiting, reads back what a restart left."""

import asyncio
import time
from contextlib import suppress
from uuid import uuid4

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from orchestrator.broker import Feed
from orchestrator.config import Settings
from orchestrator.errors import (
    AvaluaError,
    DrainingError,
    NotLoadedError,
    QueueFullError,
    StoreUnavailableError,
)
from orchestrator.jobs import Job, Status
from orchestrator.jobs.batching import Ledger
from orchestrator.jobs.rate import Estimate
from orchestrator.observability.logs import where
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Created, Store, Unfinished
from orchestrator.store.posted import Posted
from orchestrator.triton.pool import Link
from orchestrator.worker.committer import Writer
from orchestrator.worker.window import Run
from orchestrator.worker.worker import Dispatcher

RETRY_MAX_S = 2.0

log = structlog.get_logger()


class Intake:
    """Waiting jobs are rows; only running ones are read into memory."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        writer: Writer,
        feed: Feed,
        dispatcher: Dispatcher,
        link: Link,
        metrics: Metrics,
        estimate: Estimate,
    ) -> None:
        self._settings = settings
        self._store = store
        self._writer = writer
        self._feed = feed
        self._dispatcher = dispatcher
        self._link = link
        self._metrics = metrics
        self._estimate = estimate
        self._waiting: dict[str, Job] = {}
        self._arriving = 0
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def known(self, key: str | None) -> Created | None:
        """The job that this Idempotency-Key made before; it is answered however busy we are."""
        if self._dispatcher.draining:
            raise DrainingError
        return None if key is None else await self._store.by_key(key)

    def check_room(self) -> None:
        """Raises what a further job would be refused with just now. Costs nothing, so it comes first."""
        if self._dispatcher.draining:
            raise DrainingError
        if not self._link.came_up.is_set():
            raise NotLoadedError
        if not self._writer.healthy:
            raise StoreUnavailableError("the database can't be written")
        room = self._settings.max_concurrent_jobs + self._settings.max_queued_jobs
        if self._dispatcher.running + self.waiting + self._arriving >= room:
            raise QueueFullError(self._estimate.next_end_s(self._dispatcher.left()))

    async def submit(self, posted: Posted, key: str | None) -> Created:
        """Makes a job durable, or finds the one that this Idempotency-Key made before."""
        if (found := await self.known(key)) is not None:
            return found
        self.check_room()
        job = Job(
            id=str(uuid4()),
            status=Status.QUEUED,
            priority=posted.priority,
            total=posted.total,
            batch_size=self._settings.batch_size,
            created_at=time.time(),
        )
        self._arriving += 1
        try:
            created = await self._store.create(job, posted.chunks, key, posted.digest)
        except StoreUnavailableError as error:
            self._writer.doubt(error)
            raise
        finally:
            self._arriving -= 1
        if created.fresh:
            self._expect(job)
            self._metrics.submitted.inc()
            log.info("job_accepted", job_id=job.id, items=job.total, priority=job.priority.value)
        return created

    def seconds_until_done(self, job: Job) -> float:
        """For a job that was just taken in: its own time and that of what came before it."""
        if job.terminal:
            return 0.0
        waiting = sum(other.total - other.completed for other in self._waiting.values())
        return self._estimate.seconds(sum(self._dispatcher.left()) + waiting)

    async def cancel(self, job: Job) -> Job:
        """Ends a job, wherever it is; gives it as it then stands."""
        waiting = self._waiting.pop(job.id, None)
        if waiting is not None or self._dispatcher.has(job.id):
            await self._dispatcher.end(waiting or job, Status.CANCELLED)
        return await self._store.job(job.id) or job

    def on_ended(self, job: Job) -> None:
        log.info(
            "job_ended", job_id=job.id, status=job.status.value, items=job.completed, failed=job.failed_items
        )
        self._feed.release(job.id)
        self._wake.set()

    async def resume(self) -> None:
        """Reads back the jobs that had not ended."""
        found = await self._store.unfinished_jobs()
        for job in found:
            self._expect(job)
        if found:
            log.info("jobs_resumed", count=len(found))

    async def run(self) -> None:
        """Moves waiting jobs into processing whenever there is room."""
        while True:
            self._wake.clear()
            while self._waiting and self._dispatcher.running < self._settings.max_concurrent_jobs:
                if self._dispatcher.draining:
                    break
                await self._take_up(min(self._waiting.values(), key=_turn))
            await self._wake.wait()

    def _expect(self, job: Job) -> None:
        self._waiting[job.id] = job
        self._feed.hold(job)
        self._wake.set()

    async def _take_up(self, job: Job) -> None:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(StoreUnavailableError),
                wait=wait_random_exponential(multiplier=0.1, max=RETRY_MAX_S),
            ):
                with attempt:
                    known = await self._store.unfinished(job)
            run = _run(job, known)
        except (ValueError, KeyError, TypeError, AvaluaError) as error:
            # What was stored can't be read: trying again won't help, and the other jobs must go on.
            log.error(  # noqa: TRY400  a traceback's message might quote a text
                "job_unreadable", job_id=job.id, **where(error)
            )
            await self._give_up(job)
            return
        if self._waiting.pop(job.id, None) is None:
            return  # cancelled while it was being read
        if job.status is Status.QUEUED:
            self._metrics.queue_wait_seconds.observe(max(0.0, time.time() - job.created_at))
        self._dispatcher.start(run)

    async def _give_up(self, job: Job) -> None:
        if self._waiting.pop(job.id, None) is not None:
            with suppress(StoreUnavailableError):  # it stays queued to be written
                await self._dispatcher.end(job, Status.FAILED)


def _run(job: Job, known: Unfinished) -> Run:
    ledger = Ledger(job, known.finished, known.loose, known.provenance_ids)
    items = [item for item in known.items if not ledger.has(item.index)]
    if len(items) != ledger.left:
        raise ValueError("items are missing")
    return Run(ledger, items)


def _turn(job: Job) -> tuple[bool, float]:
    """Jobs that ran before a restart come first, then those that count as having waited the longest."""
    return job.status is not Status.PROCESSING, job.waits_from()
