"""Keeps this worker's claims alive, takes up jobs while there is room, and hands them over at the end."""

import asyncio
import time
from uuid import uuid4

import structlog

from orchestrator.config import Settings
from orchestrator.errors import StoreUnavailableError, UnreadableJobError
from orchestrator.inbox import Inbox
from orchestrator.jobs import WEIGHTS, Job
from orchestrator.observability.logs import where
from orchestrator.store import Store
from orchestrator.store.claims import Claim
from orchestrator.store.committing import Committed
from orchestrator.store.fleet import Load
from orchestrator.triton.pool import Pool
from orchestrator.worker.active import ActiveJobs
from orchestrator.worker.changes import Changes
from orchestrator.worker.events import CancelRequested, Claimed, ClaimLost, Event, Shared
from orchestrator.worker.worker import Worker

BEATS_A_LEASE = 5
BUSY_BEAT_S = 1.0
SHARING_BEAT_S = 0.2
"""While places move from one worker to another."""

log = structlog.get_logger()


class Claiming:
    """One task that beats and claims. The worker hears of what it finds through its inbox."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        pool: Pool,
        worker: Worker,
        jobs: ActiveJobs,
        inbox: Inbox[Event],
        changes: Changes,
    ) -> None:
        self.worker_id = uuid4().hex
        self._settings = settings
        self._store = store
        self._pool = pool
        self._worker = worker
        self._jobs = jobs
        self._inbox = inbox
        self._changes = changes
        self._beat_at = time.monotonic()  # when the last beat that reached the database began
        self._unread: dict[str, Claim] = {}  # claimed, and not yet handed to the worker
        # To the worker, and when: until it has found them in its inbox.
        self._handed: dict[str, tuple[Job, float]] = {}
        self._up_at = time.monotonic()  # when a Triton was last reached
        self._others_up = False  # another worker reaches one
        self._settled = True  # no places are on their way from one worker to another
        self._stopping = asyncio.Event()
        self._left = False
        self._announcing = asyncio.Lock()  # ourselves, a job as ours, or that we leave

    def committed(self, committed: Committed) -> None:
        """A sink: where a job has ended there is room for another one."""
        ended = [change.job.id for change in committed.changes if change.job.terminal]
        for job_id in ended:
            self._handed.pop(job_id, None)  # one that ended as soon as it began
        if ended:
            self._store.hints.told(work=True)

    async def run(self) -> None:
        """Works for as long as the service runs, but takes no job any more once it is stopping."""
        while True:
            try:
                await self._beat()
                await self._take_up()
                while await self._claim():
                    await self._take_up()
                    await self._beat()
            except StoreUnavailableError as error:
                log.warning("beat_failed", reason=str(error))
                self._changes.doubt(str(error))
                self._give_up_if_late()
            await self._store.hints.work(self._pause_s())

    async def hand_over(self) -> None:
        """Lets others have our jobs at once. Call it when all is written that shall be."""
        self._stopping.set()
        async with self._announcing:  # what is under way must not be written behind our leaving
            self._left = True
            await self._store.claims.leave(self.worker_id)

    def stop(self) -> None:
        """Claims no more jobs."""
        self._stopping.set()

    async def _beat(self) -> None:
        async with self._announcing:
            if self._left:
                return
            began = time.monotonic()
            load = self._load(began)
            working = {*self._jobs, *self._unread, *self._handed, *self._changes.job_ids}
            if self._others_up and self._is_cut_off(began):
                # They are given back, for who can work on them.
                working = set(self._changes.job_ids)
            beat = await self._store.claims.beat(self.worker_id, load, working)
        self._beat_at = began
        for job_id in list(self._jobs):
            if job_id not in beat.held:
                self._inbox.put(ClaimLost(job_id))
            elif beat.held[job_id]:
                self._inbox.put(CancelRequested(job_id))
        for job_id in list(self._unread):
            if job_id not in beat.held:
                del self._unread[job_id]
        self._settled, self._others_up = beat.settled, beat.others_up
        self._inbox.put(Shared(beat.places, beat.may_isolate))

    def _is_cut_off(self, now: float) -> bool:
        """Whether this worker has reached no Triton for as long as a text waits for its own."""
        if self._pool.up or not self._store.shared:
            self._up_at = now
        return now - self._up_at > self._settings.suspect_wait_s

    def _load(self, now: float) -> Load:
        # Jobs that the worker has not found in its inbox yet want places, too.
        self._handed = {
            job_id: (job, at)
            for job_id, (job, at) in self._handed.items()
            if job_id not in self._jobs and now - at < self._settings.lease_s
        }
        new = [job for job, _ in self._handed.values()]
        share = not self._is_cut_off(now)  # places are for who can use them
        return Load(
            places=share * max(self._worker.places, self._worker.in_flight),
            in_flight=share * self._worker.in_flight,
            weight=share * (self._jobs.weight + sum(WEIGHTS[job.priority] for job in new)),
            wanted=share * (self._jobs.wanted + sum(job.total for job in new)),
            triton_up=self._pool.up,
            triton_loaded=self._pool.loaded.is_set(),
            wants_isolation=self._worker.wants_isolation and self._pool.up,
        )

    async def _claim(self) -> bool:
        """Claims what there is room for; false when there was nothing, or we are stopping."""
        most = self._settings.max_concurrent_jobs
        async with self._announcing:
            if self._stopping.is_set():
                return False
            claims = await self._store.claims.claim(self.worker_id, max_jobs=most, up=self._pool.up)
        self._unread.update((claim.job.id, claim) for claim in claims)
        return bool(claims)

    async def _take_up(self) -> None:
        """Reads what is left of each claimed job, and has it worked on."""
        for job_id, claim in list(self._unread.items()):
            try:
                unfinished = await self._store.reading.unfinished(claim.job)
            except UnreadableJobError as error:
                # Trying again won't help, and the other jobs must go on.
                log.error(  # noqa: TRY400  a traceback's message might quote a text
                    "job_unreadable", job_id=job_id, **where(error)
                )
                await self._store.claims.fail(job_id, claim.epoch)
            else:
                log.info("job_claimed", job_id=job_id, epoch=claim.epoch)
                self._inbox.put(Claimed(claim, unfinished))
                self._handed[job_id] = (claim.job, time.monotonic())
                if claim.cancel:
                    self._inbox.put(CancelRequested(job_id))
            del self._unread[job_id]

    def _give_up_if_late(self) -> None:
        """Others may have our jobs by now: nothing more is sent for them."""
        if self._store.shared and time.monotonic() - self._beat_at > self._settings.lease_s:
            for job_id in list(self._jobs):
                self._inbox.put(ClaimLost(job_id))

    def _pause_s(self) -> float:
        pause_s = self._settings.lease_s / BEATS_A_LEASE
        if not self._store.shared:
            return pause_s
        if not self._settled:
            return SHARING_BEAT_S
        return min(pause_s, BUSY_BEAT_S if self._jobs else self._settings.poll_s)
