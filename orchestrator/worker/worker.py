"""Marks the items of claimed jobs: one task that hears what happens, sends, and yields what is to be written.

Everything here happens between two awaits of that task: no locks, no task an item.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from uuid import uuid4

import structlog

from orchestrator.config import Settings
from orchestrator.inbox import Inbox
from orchestrator.jobs import ItemError, Result, Status
from orchestrator.jobs.batching import Batcher
from orchestrator.jobs.events import Event as JobEvent
from orchestrator.jobs.rate import ActiveTime
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Store
from orchestrator.store.committing import Change, Committed
from orchestrator.store.payloads import payload
from orchestrator.triton.events import Answered, Broken, Down, Probed, Up
from orchestrator.triton.pool import Pool
from orchestrator.triton.server import Server
from orchestrator.worker.active import ActiveJob, ActiveJobs, Delivery
from orchestrator.worker.changes import Changes
from orchestrator.worker.events import CancelRequested, Claimed, ClaimLost, Event, Shared
from orchestrator.worker.inflight import InFlight
from orchestrator.worker.window import Window

TICK_S = 0.25
BLANK = ItemError("blank_answer", "The answer is blank.")

log = structlog.get_logger()


class Worker:
    """Owns its active jobs and all that is in flight for them."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        pool: Pool,
        inbox: Inbox[Event],
        jobs: ActiveJobs,
        changes: Changes,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._clock = store.clock
        self._pool = pool
        self._inbox = inbox
        self._jobs = jobs
        self._changes = changes
        self._metrics = metrics
        self._inflight = InFlight(settings, pool, metrics)
        self._window = Window(0 if store.shared else settings.max_in_flight)
        self._may_isolate = not store.shared
        self._active_time = ActiveTime(time.monotonic())
        # Triton's other clients number their requests too, and its models tell items apart by these ids.
        self._ids = (f"{uuid4().hex}-{number}" for number in count(1))
        self._draining = False
        self._idle = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Items at Triton."""
        return self._inflight.count

    @property
    def places(self) -> int:
        """Places that this worker has."""
        return self._window.size

    @property
    def wants_isolation(self) -> bool:
        return self._inflight.isolation.waiting

    async def run(self) -> None:
        """Works for as long as the service runs."""
        while True:
            events = await self._inbox.get(self._wait_s())
            now = time.monotonic()
            for event in events:
                self._handle(event, now)
            self._inflight.check_time(now)
            self._record(now)
            self._send(now)
            if self._inflight.places_taken == 0:
                self._idle.set()
            else:
                self._idle.clear()

    async def drain(self, timeout_s: float) -> None:
        """Stops sending and lets what is in flight finish; then keeps what no batch holds yet."""
        self._draining = True
        if self._inflight.places_taken:
            self._idle.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._idle.wait()
        for job in list(self._jobs.values()):
            if job.batcher.partial:
                self._yield(job, [], partial=job.batcher.partial)
            self._forget(job)

    def _wait_s(self) -> float:
        due = self._inflight.retries.next_at
        return TICK_S if due is None else min(TICK_S, max(0.0, due - time.monotonic()))

    def _handle(self, event: Event, now: float) -> None:
        match event:
            case Answered():
                self._inflight.answered(event, now)
            case Claimed():
                self._start(event)
            case ClaimLost():
                self._lose(event.job_id)
            case CancelRequested():
                self._cancel(event.job_id)
            case Shared():
                self._window.size, self._may_isolate = event.places, event.may_isolate
            case Probed():
                self._inflight.probed(event.server, event.alive, event.asked_at, now)
            case Broken():
                self._inflight.broken(event.server)
            case Down():
                self._inflight.down(event.server, now)
            case Up():
                self._inflight.up(event.server, event.restarted, now)
            case Committed():
                pass  # there may be room again for what is to be written

    # Jobs come and go.

    def _start(self, claimed: Claimed) -> None:
        """Takes up a job. Items that need no model get their results at once."""
        job, known = claimed.claim.job, claimed.unfinished
        if self._draining:
            return  # it is handed over with the others
        batcher = Batcher(job, known.finished, known.partial, known.provenance_ids)
        fresh = [item for item in known.items if not batcher.has(item.index)]
        active = ActiveJob(batcher, claimed.claim.epoch, fresh)
        self._jobs[active.id] = active
        if job.status is Status.QUEUED:
            self._metrics.queue_wait_seconds.observe(max(0.0, self._clock.now() - job.created_at))
        batcher.start(self._clock.now())
        for item in fresh:
            if item.error or item.blank:
                batcher.take(Result(item.index, item.id_alumno, None, None, item.error or BLANK, attempts=0))
                self._metrics.finished(0, (item.error or BLANK).code)
        active.fresh = deque(item for item in fresh if not batcher.has(item.index))
        self._yield(active, batcher.settle(self._clock.now()))

    def _cancel(self, job_id: str) -> None:
        """Ends a job now: what is finished is kept, what is in flight is ignored when it comes."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._yield(job, job.batcher.close(Status.CANCELLED, self._clock.now()))

    def _lose(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None:
            log.warning("claim_lost", job_id=job_id, epoch=job.epoch)
            self._forget(job)

    def _forget(self, job: ActiveJob) -> None:
        job.end()
        self._jobs.pop(job.id, None)

    def _send(self, now: float) -> None:
        released = self._inflight.released(now)
        for delivery in released:
            delivery.job.again.append(delivery)
        isolation = self._inflight.isolation
        if isolation.waiting:
            isolation.advance(now, self._up(), self._may_isolate)
        if self._draining or not self._pool.up:
            return
        while (found := self._next(now)) is not None:
            delivery, server = found
            self._inflight.send(next(self._ids), delivery, server, now)

    def _next(self, now: float) -> tuple[Delivery, Server] | None:
        """The item that gets the next place, and where it goes."""
        if self._changes.full:
            return None
        # What waits inside Triton can't be called back: long texts fill it before their number does.
        chars = self._settings.max_chars_in_flight * self._window.size // self._settings.max_in_flight
        if self._inflight.chars >= max(1, chars):
            return None
        taken = self._inflight.places_taken
        isolation = self._inflight.isolation
        if isolation.waiting and taken < self._window.size:
            suspect = isolation.next(now, self._up(), self._may_isolate)
            if suspect is not None:
                return suspect
        while (job := self._window.pick(self._jobs.values(), taken)) is not None:
            delivery = job.take()
            if delivery.closed:
                continue  # a late answer has come meanwhile
            server = self._pool.pick(delivery.item, exclude=isolation.reserved)
            if server is None:
                job.again.appendleft(delivery)
                return None
            return delivery, server
        return None

    def _up(self) -> list[Server]:
        return [server for server in self._pool.servers if server.up]

    def _record(self, now: float) -> None:
        """Turns what has finished into changes."""
        seconds = self._active_time.update(now, active=self._pool.up and not self._changes.full)
        finished, self._inflight.finished = self._inflight.finished, []
        touched: dict[ActiveJob, int] = {}
        for delivery, result in finished:
            job = delivery.job
            if not job.ended:
                job.batcher.take(result)
                self._metrics.finished(result.attempts, result.error.code if result.error else None)
                touched[job] = touched.get(job, 0) + 1
        for job, items in touched.items():
            job.rate.finished(items, seconds)
            if (measured := job.rate.measured(seconds)) is not None:
                job.batcher.measured(measured.rate, measured.error)
            if events := job.batcher.settle(self._clock.now()):
                self._yield(job, events)

    def _yield(self, job: ActiveJob, events: Iterable[JobEvent], partial: tuple[Result, ...] = ()) -> None:
        stands = job.batcher.job
        if stands.finished_at is not None:
            stands = replace(stands, expires_at=stands.finished_at + self._settings.job_ttl_seconds)
        self._changes.put(
            Change(
                job=stands,
                epoch=job.epoch,
                events=tuple((event.number, payload(event)) for event in events),
                partial=partial,
                provenances=tuple(self._pool.provenances[id_] for id_ in job.batcher.new_provenance_ids()),
            )
        )
        if stands.terminal:
            self._forget(job)
