"""Sends items of all running jobs through one window, and turns what comes back into results."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from uuid import uuid4

import structlog

from orchestrator.config import Settings
from orchestrator.errors import StoreUnavailableError, StreamBrokenError
from orchestrator.jobs import ItemError, Job, Result, Status
from orchestrator.jobs.batching import Ledger
from orchestrator.jobs.events import Event
from orchestrator.jobs.rate import Estimate
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Change
from orchestrator.triton.pool import Link
from orchestrator.worker.committer import Writer
from orchestrator.worker.inflight import Flights
from orchestrator.worker.window import Attempt, Run, Window

BLANK = ItemError("blank_answer", "The answer is blank.")

log = structlog.get_logger()


class Dispatcher:
    """Everything here happens between two awaits of one event loop: no locks, no task an item."""

    def __init__(self, settings: Settings, link: Link, metrics: Metrics, estimate: Estimate) -> None:
        self._settings = settings
        self._link = link
        self._metrics = metrics
        self._estimate = estimate
        self._window = Window(settings.max_in_flight)
        self._runs: dict[str, Run] = {}
        self.flights = Flights(settings, link, metrics, record=self._record, wake=self._look)
        # Triton's other clients number their requests too, and its models tell items apart by these ids.
        self._ids = (f"{uuid4().hex}-{number}" for number in count(1))
        self._wake = asyncio.Event()
        self.draining = False
        self.writer: Writer
        self.on_ended: Callable[[Job], None]

    # What others may ask.

    @property
    def running(self) -> int:
        return len(self._runs)

    @property
    def in_flight(self) -> int:
        return len(self.flights)

    def left(self) -> Iterator[int]:
        """For each running job, how many items have no result yet."""
        return (run.ledger.left for run in self._runs.values())

    def has(self, job_id: str) -> bool:
        return job_id in self._runs

    # Jobs come and go.

    def start(self, run: Run) -> None:
        """Takes up a job. Items that need no model get their results at once."""
        ledger, now = run.ledger, time.time()
        self._runs[run.id] = run
        if ledger.job.status is Status.QUEUED:
            ledger.start(now)
        self._put(ledger, ledger.settle(now))
        unsent = [item for item in run.fresh if item.error or item.blank]
        run.fresh = deque(item for item in run.fresh if not (item.error or item.blank))
        for item in unsent:
            error = item.error or BLANK
            self._record(run, Result(item.index, item.id_alumno, None, None, error, attempts=0))
        self._wake.set()

    async def end(self, job: Job, status: Status) -> None:
        """Ends a job now: what is finished is kept, what is in flight is ignored when it comes."""
        run = self._runs.get(job.id)
        ledger = run.ledger if run is not None else Ledger(job)
        if run is not None:
            run.stop()
        if not ledger.job.terminal:
            self._put(ledger, ledger.close(status, time.time()))
        try:
            async with asyncio.timeout(self._settings.database_timeout_s):
                await self.writer.written()
        except TimeoutError:
            raise StoreUnavailableError("the change waits to be written") from None

    def on_commit(self, change: Change) -> None:
        """A change is on disk."""
        if change.job.terminal:
            self._runs.pop(change.job.id, None)
            self._metrics.jobs.labels(change.job.status.value).inc()
            self.on_ended(change.job)
        self._wake.set()

    async def drain(self) -> None:
        """Stops sending and lets what is in flight finish; then keeps what no batch holds yet."""
        self.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_timeout_s):
                while self.flights:
                    await self._wake.wait()
                    self._wake.clear()
        for run in self._runs.values():
            if not run.ended and run.ledger.loose:
                self._write(run.ledger, run.ledger.job, loose=run.ledger.loose)

    # Out.

    async def run(self) -> None:
        while True:
            self._wake.clear()
            while (attempt := self._next()) is not None:
                await self._send(attempt)
            await self._wake.wait()

    def _next(self) -> Attempt | None:
        if self.draining or not self._link.up or self.writer.full:
            return None
        # What waits inside Triton can't be called back: long texts fill it before their number does.
        if self.flights.chars >= self._settings.max_chars_in_flight:
            return None
        taken, quarantine = self.flights.places_taken, self.flights.quarantine
        if quarantine.busy(taken):
            return quarantine.next(taken)
        run = self._window.pick(self._runs.values(), taken)
        return run.take() if run is not None else None

    async def _send(self, attempt: Attempt) -> None:
        request_id = next(self._ids)
        self.flights.add(request_id, attempt)
        # A break that happens here is told to the flights, like any other.
        with suppress(StreamBrokenError):
            # The seed follows from this number: only an answer that was no good is asked for anew. What was
            # lost on the way is asked for again, so that a crash changes no mark.
            await self._link.send(request_id, attempt.item, attempt.strikes + 1)

    # Back.

    def _look(self) -> None:
        self._wake.set()

    def _record(self, run: Run, result: Result) -> None:
        if run.ended:
            return
        self._metrics.finished(result.attempts, result.error.code if result.error else None)
        before = run.ledger.job.completed
        events = run.ledger.add(result, time.time())
        if events:
            self._estimate.finished(run.ledger.job.completed - before, time.monotonic())
            self._put(run.ledger, events)

    def _put(self, ledger: Ledger, events: list[Event]) -> None:
        job = ledger.job
        if job.finished_at is not None:
            job = replace(job, expires_at=job.finished_at + self._settings.job_ttl_seconds)
        self._write(ledger, job, events=tuple((event.number, event.payload()) for event in events))

    def _write(
        self,
        ledger: Ledger,
        job: Job,
        *,
        events: tuple[tuple[int, bytes], ...] = (),
        loose: tuple[Result, ...] = (),
    ) -> None:
        origins = tuple(self._link.provenances[id_] for id_ in ledger.new_provenance_ids())
        self.writer.put(Change(job, events, loose, origins))
