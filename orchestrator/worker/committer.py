"""Commits what the dispatcher produces: several batches a transaction, in order, none given up."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from orchestrator.errors import StoreUnavailableError
from orchestrator.observability.metrics import Metrics
from orchestrator.store import Change, Store

# A commit costs the same for one batch as for ten. After a quiet time it goes at once; under load it waits
# for company, longer on a slow disk, but no longer than still looks immediate to who watches. The end of a
# job does not wait.
MIN_INTERVAL_S = 0.03
MAX_INTERVAL_S = 0.06
INTERVAL_COMMITS = 20
MAX_PENDING = 64
RETRY_MAX_S = 2.0

log = structlog.get_logger()


class Writer:
    """A bounded queue of changes and the one task that commits them."""

    def __init__(self, store: Store, metrics: Metrics, on_commit: Callable[[Change], None]) -> None:
        self._store = store
        self._metrics = metrics
        self._on_commit = on_commit
        self._pending: list[Change | asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()  # somebody waits for the next commit
        self.failing = asyncio.Event()  # set while the database can't be written
        self.committed_at = 0.0  # by the monotonic clock, when the newest commit was done

    @property
    def healthy(self) -> bool:
        return not (self.failing.is_set() or self._store.lost)

    @property
    def full(self) -> bool:
        """No more work should be started: what is finished waits to be written."""
        return self.failing.is_set() or len(self._pending) >= MAX_PENDING

    def put(self, change: Change) -> None:
        """Queues a change. What is in flight is bounded by the window, so this queue is too."""
        self._pending.append(change)
        if change.job.terminal:
            self._hurry.set()
        self._wake.set()

    def doubt(self, error: StoreUnavailableError) -> None:
        """Something else could not be written: unhealthy until a write of our own has succeeded."""
        self._unavailable(str(error))
        self._wake.set()

    async def written(self) -> None:
        """Returns when everything queued so far is committed."""
        done = asyncio.get_running_loop().create_future()
        self._pending.append(done)
        self._hurry.set()
        self._wake.set()
        await done

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            started = time.perf_counter()
            group, self._pending = self._pending, []
            await self._commit([entry for entry in group if isinstance(entry, Change)])
            for entry in group:
                if isinstance(entry, asyncio.Future) and not entry.done():
                    entry.set_result(None)
            spent_s = time.perf_counter() - started
            await asyncio.sleep(max(0.0, MIN_INTERVAL_S - spent_s))
            with suppress(TimeoutError):
                async with asyncio.timeout(min(MAX_INTERVAL_S, INTERVAL_COMMITS * spent_s) - MIN_INTERVAL_S):
                    await self._hurry.wait()
            self._hurry.clear()

    async def _commit(self, changes: list[Change]) -> None:
        if not changes and not self.failing.is_set():
            return
        started = time.perf_counter()
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailableError),
            wait=wait_random_exponential(multiplier=0.1, max=RETRY_MAX_S),
            before_sleep=self._failed,
        ):
            with attempt:
                if changes:
                    await self._store.commit(changes, again=attempt.retry_state.attempt_number > 1)
                else:
                    await self._store.try_write()
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        self.committed_at = time.monotonic()
        if self.failing.is_set():
            self.failing.clear()
            log.info("store_back")
        for change in changes:
            self._on_commit(change)

    def _failed(self, state: RetryCallState) -> None:
        self._unavailable(str(state.outcome.exception() if state.outcome else None))

    def _unavailable(self, reason: str) -> None:
        self._metrics.store_errors.inc()
        if not self.failing.is_set():
            self.failing.set()
            log.error("store_unavailable", reason=reason)
