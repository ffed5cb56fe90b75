"""Writes what the worker yields: several changes a transaction, in order, for as long as it takes."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from orchestrator.errors import ContentRefusedError, StaleEpochError, StoreUnavailableError
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Store
from orchestrator.store.committing import Change, Committed
from orchestrator.worker.changes import Changes

# A commit costs the same for one batch as for ten. After a quiet time it goes at once; under load it waits
# for company, longer on a slow disk, but no longer than still looks immediate to who watches. The end of a
# job does not wait.
MIN_INTERVAL_S = 0.03
MAX_INTERVAL_S = 0.06
INTERVAL_COMMITS = 20
RETRY_MAX_S = 2.0
MAX_GIVEN_UP = 1000

log = structlog.get_logger()

Sink = Callable[[Committed], None]


class Committer:
    """The one task that commits, and tells the sinks what it has committed."""

    def __init__(self, store: Store, changes: Changes, metrics: Metrics, sinks: Sequence[Sink]) -> None:
        self._store = store
        self._changes = changes
        self._metrics = metrics
        self._sinks = sinks
        # Jobs, by id and epoch, of which no more is written.
        self._given_up: dict[tuple[str, int], None] = {}
        self.failing = False

    @property
    def healthy(self) -> bool:
        """Whether the database can be written, as far as is known."""
        return not (self.failing or self._store.lost)

    def doubt(self, error: StoreUnavailableError) -> None:
        """Something else could not be written: unhealthy until a write of our own has succeeded."""
        self._unavailable(str(error))
        self._changes.doubt(str(error))

    async def run(self) -> None:
        """Commits for as long as the service runs."""
        while True:
            changes = await self._changes.take()
            if self._changes.doubted is not None:
                if not self.failing:
                    self._unavailable(self._changes.doubted)
                self._changes.doubted = None
            started = time.perf_counter()
            await self._commit(changes)
            self._changes.settled(changes)
            spent_s = time.perf_counter() - started
            await asyncio.sleep(max(0.0, MIN_INTERVAL_S - spent_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(min(MAX_INTERVAL_S, INTERVAL_COMMITS * spent_s) - MIN_INTERVAL_S):
                    await self._changes.hurry.wait()
            self._changes.hurry.clear()

    async def _commit(self, changes: Iterable[Change]) -> None:
        """Returns when each change is written, or its job is given up."""
        started = time.perf_counter()
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailableError),
            wait=wait_random_exponential(multiplier=0.1, max=RETRY_MAX_S),
            before_sleep=self._failed,
        ):
            with attempt:
                written = await self._write(self._wanted(changes))
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        if self.failing:
            self.failing = False
            log.info("store_back")
        if written:
            committed = Committed(tuple(written), time.monotonic())
            for sink in self._sinks:
                sink(committed)

    def _wanted(self, changes: Iterable[Change]) -> list[Change]:
        return [change for change in changes if (change.job.id, change.epoch) not in self._given_up]

    async def _write(self, changes: list[Change]) -> list[Change]:
        """What could be written of these; jobs whose changes can't be are given up."""
        while changes:
            try:
                await self._store.committing.commit(changes)
            except StaleEpochError as error:
                self._give_up(change for change in changes if (change.job.id, change.epoch) in error.claims)
                changes = self._wanted(changes)
            except ContentRefusedError as error:
                return await self._write_apart(changes, error)
            else:
                return changes
        if self.failing:
            await self._store.try_write()
        return []

    async def _write_apart(self, changes: list[Change], error: ContentRefusedError) -> list[Change]:
        """Writes job by job, so that the one whose change is refused fails alone."""
        by_job: dict[str, list[Change]] = {}
        for change in changes:
            by_job.setdefault(change.job.id, []).append(change)
        if len(by_job) > 1:
            return [change for part in by_job.values() for change in await self._write(part)]
        first = changes[0]
        log.error("change_refused", job_id=first.job.id, reason=str(error))
        self._give_up(changes)
        await self._store.claims.fail(first.job.id, first.epoch)
        return []

    def _give_up(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if (change.job.id, change.epoch) not in self._given_up:
                log.warning("changes_dropped", job_id=change.job.id, epoch=change.epoch)
                self._given_up[change.job.id, change.epoch] = None
        while len(self._given_up) > MAX_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]

    def _failed(self, state: RetryCallState) -> None:
        self._unavailable(str(state.outcome.exception() if state.outcome else None))

    def _unavailable(self, reason: str) -> None:
        self._metrics.store_errors.inc()
        if not self.failing:
            self.failing = True
            log.error("store_unavailable", reason=reason)
