"""A server's connection: opened again whenever it breaks, and trusted only after a real inference."""

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import Any
from uuid import uuid4

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from orchestrator.config import Settings
from orchestrator.errors import StreamBrokenError
from orchestrator.inbox import Inbox
from orchestrator.jobs import Item
from orchestrator.jobs.provenance import Provenance
from orchestrator.observability.metrics import Metrics
from orchestrator.triton.codec import Encoder, Failure
from orchestrator.triton.connection import Connection, Identity
from orchestrator.triton.events import Answered, Broken, Down, Probed, Up
from orchestrator.triton.probe import PROBE, Probing
from orchestrator.triton.server import Server

BACKOFF_FIRST_S = 0.1
TICK_S = 0.25
LIVE_TIMEOUT_S = 5.0
SETTLE_S = 0.3  # after which a count has taken in an answer that was given before

log = structlog.get_logger()


class ReconnectingConnection:
    """One task that keeps a server's connection, and tells the inbox what becomes of what was sent."""

    def __init__(
        self,
        server: Server,
        *,
        settings: Settings,
        metrics: Metrics,
        inbox: Inbox[Any],
        provenances: dict[str, Provenance],
        loaded: asyncio.Event,
    ) -> None:
        self._server = server
        self._settings = settings
        self._metrics = metrics
        self._inbox = inbox
        self._provenances = provenances
        self._loaded = loaded
        self._encoder = Encoder(settings.triton_model)
        self._unsent: deque[tuple[str, Item, int]] = deque()  # bounded by the server's capacity
        self._filled = asyncio.Event()
        self._doubted = asyncio.Event()
        self._probing = self._new_probing()
        # Others may probe the same server: ids must not be theirs.
        self._probe_prefix = f"probe-{uuid4().hex}-"
        self._probes = 0
        self._probe_id = ""
        self._known: Identity | None = None  # of the server when it last answered
        self._connected = False

    def send(self, request_id: str, item: Item, attempt: int) -> None:
        """Queues an item. If the connection breaks, or is broken, that is told: it gets no answer."""
        if self._server.in_flight == 0:
            self._probing.busy(time.monotonic())
        self._server.in_flight += 1
        if self._connected:
            self._unsent.append((request_id, item, attempt))
            self._filled.set()
        else:
            self._inbox.put(Broken(self._server))

    def doubt(self) -> None:
        """Asks for a probe now: something failed in a way that a dead model would explain."""
        self._probing.doubt()
        self._doubted.set()

    async def run(self) -> None:
        """Connects, serves until the connection breaks, connects again."""
        while True:
            connection = await self._connect()
            self._probing = self._new_probing()
            self._server.in_flight, self._connected = 0, True
            self._unsent.clear()
            self._went_up(await self._restarted(connection))
            tasks = [
                asyncio.create_task(work(connection), name=f"triton-{name}")
                for name, work in (("read", self._read), ("write", self._write), ("watch", self._watch))
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                log.warning(
                    "triton_stream_broken",
                    server=self._server.name,
                    reason=str(next(iter(done)).exception()),
                )
                for task in done:
                    _raise_unexpected(task)
            finally:
                self._connected = False
                self._server.in_flight = 0
                self._known = connection.identity if self._server.up else self._known
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            self._inbox.put(Broken(self._server))
            self._went_down("the connection broke")
            await connection.close()

    async def _connect(self) -> Connection:
        """A connection on which the model has answered. Tries for as long as it takes."""

        def failed(state: RetryCallState) -> None:
            reason = state.outcome.exception() if state.outcome else None
            number = state.attempt_number
            if number & (number - 1) == 0:  # the first, second, fourth, eighth, ...: an outage may be long
                log.warning(
                    "triton_unreachable", server=self._server.name, reason=str(reason), attempt=number
                )

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(StreamBrokenError),
            wait=wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=self._settings.reconnect_max_s),
            before_sleep=failed,
        ):
            with attempt:
                connection = await self._open()
        return connection

    async def _open(self) -> Connection:
        """A connection that works and knows what its marks are made with. Raises StreamBrokenError."""
        connection = Connection(self._server.name, self._provenances)
        try:
            async with asyncio.timeout(self._settings.probe_timeout_s):
                await connection.send(self._encoder.encode(self._next_probe_id(), PROBE, 1))
                _, outcome = await connection.receive()
                if not isinstance(outcome, Failure):
                    await connection.watch_provenance()
        except TimeoutError:
            await connection.close(0)
            raise StreamBrokenError("the model did not answer a probe in time") from None
        except BaseException:
            await connection.close(0)
            raise
        if isinstance(outcome, Failure):
            await connection.close()
            raise StreamBrokenError(f"the model failed on a probe: {outcome.message[:200]}")
        if connection.provenance is None:
            log.warning(
                "provenance_unknown",
                server=self._server.name,
                reason="Triton's model preprocess does not tell it",
            )
        return connection

    async def _restarted(self, connection: Connection) -> bool:
        """Whether the server began anew since it last answered; not at our own start."""
        if self._known is None:
            return False
        if not connection.identity.restarted_since(self._known):
            return False
        # The count may not have taken in what was answered just now.
        await asyncio.sleep(SETTLE_S)
        try:
            async with asyncio.timeout(LIVE_TIMEOUT_S):
                return (await connection.look()).restarted_since(self._known)
        except (StreamBrokenError, TimeoutError):
            return True

    async def _read(self, connection: Connection) -> None:
        while True:
            request_id, outcome = await connection.receive()
            now = time.monotonic()
            good = not isinstance(outcome, Failure)
            if good:
                self._server.heard_at = now
                self._probing.heard(now, waiting=self._server.in_flight > 0)
            if request_id == self._probe_id:
                await self._probed(connection, good, now)
                continue
            self._server.in_flight = max(0, self._server.in_flight - 1)
            if good:
                self._server.answered()
                if not self._server.up:
                    self._went_up(restarted=False)
            self._inbox.put(Answered(self._server, request_id, outcome))

    async def _write(self, connection: Connection) -> None:
        """Waits while the server takes no more; that a probe is never answered then ends it."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._unsent:
                request_id, item, attempt = self._unsent.popleft()
                await connection.send(self._encoder.encode(request_id, item, attempt))

    async def _watch(self, connection: Connection) -> None:
        """Probes when in doubt, and when nothing was heard for a while."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._doubted.wait()
            self._doubted.clear()
            now = time.monotonic()
            if self._probing.due(now, up=self._server.up):
                self._probe_id = self._next_probe_id()
                self._probing.asked(now)
                # Behind what is queued, so that it is judged by what was sent before it.
                self._unsent.append((self._probe_id, PROBE, 1))
                self._filled.set()
            elif self._probing.late(now):
                await self._check_live(connection)

    async def _check_live(self, connection: Connection) -> None:
        """The probe is late: a server that answers otherwise is slow, or hangs; else this is dead."""
        if not await connection.live(min(LIVE_TIMEOUT_S, self._settings.probe_timeout_s)):
            raise StreamBrokenError("the server does not answer")
        if self._probing.late(time.monotonic()):
            self._known = connection.identity if self._server.up else self._known
            self._went_down("the model did not answer a probe in time")

    async def _probed(self, connection: Connection, good: bool, now: float) -> None:
        asked_at = self._probing.asked_at or now
        self._probe_id = ""
        self._probing.answered(now, good=good, most_pause_s=self._settings.reconnect_max_s)
        self._inbox.put(Probed(self._server, good, asked_at))
        if not good:
            self._known = connection.identity if self._server.up else self._known
            self._went_down("the model failed on a probe")
        elif not self._server.up:
            await self._look(connection)
            self._went_up(await self._restarted(connection))

    @staticmethod
    async def _look(connection: Connection) -> None:
        try:
            async with asyncio.timeout(LIVE_TIMEOUT_S):
                await connection.look()
        except TimeoutError:
            raise StreamBrokenError("the server does not answer") from None

    def _next_probe_id(self) -> str:
        self._probes += 1
        return f"{self._probe_prefix}{self._probes}"

    def _new_probing(self) -> Probing:
        return Probing(
            interval_s=self._settings.probe_interval_s,
            timeout_s=self._settings.probe_timeout_s,
            most_s=self._settings.item_timeout_s,
            now=time.monotonic(),
        )

    def _went_up(self, restarted: bool) -> None:
        if self._server.up:
            return
        self._server.up = True
        self._loaded.set()
        self._metrics.triton_up.labels(self._server.name).set(1)
        log.info("triton_up", server=self._server.name, restarted=restarted)
        self._inbox.put(Up(self._server, restarted))

    def _went_down(self, reason: str) -> None:
        if not self._server.up:
            return
        self._server.up = False
        self._metrics.triton_up.labels(self._server.name).set(0)
        self._metrics.outages.labels(self._server.name).inc()
        log.warning("triton_down", server=self._server.name, reason=reason)
        self._inbox.put(Down(self._server))


def _raise_unexpected(task: asyncio.Task[None]) -> None:
    """A broken stream is what we expect; anything else is a bug and must stop the service."""
    error = task.exception()
    if error is not None and not isinstance(error, StreamBrokenError):
        raise error
