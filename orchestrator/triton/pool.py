"""The connection to Triton: opened again whenever it breaks, and trusted only after a real inference."""

import asyncio
import time
from typing import Protocol

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from orchestrator.config import Settings
from orchestrator.errors import StreamBrokenError
from orchestrator.jobs import Item
from orchestrator.jobs.provenance import Provenance
from orchestrator.observability.metrics import Metrics
from orchestrator.triton.codec import Failure, Outcome
from orchestrator.triton.connection import Encoder, Stream
from orchestrator.triton.probe import PROBE, open_stream

BACKOFF_FIRST_S = 0.1
TICK_S = 0.5
PROBE_PREFIX = "probe-"

log = structlog.get_logger()


class Listener(Protocol):
    """Who sends items, and wants to know what becomes of them."""

    def on_outcome(self, request_id: str, outcome: Outcome) -> None: ...
    def on_probe(self, alive: bool) -> None:
        """A probe was answered, or was not."""

    def on_break(self, survived: bool) -> None:
        """The stream is gone, with every item in flight. `survived`: a new one answered at once."""

    def on_tick(self) -> None:
        """Time has passed: look for items that have waited too long."""

    def on_up(self) -> None: ...


class Link:
    """Keeps one stream to Triton open. `up` is true while the model answers."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._encoder = Encoder(settings.triton_model)
        self._stream: Stream | None = None
        self._doubt = asyncio.Event()
        self._probe_number = 0
        self._probe: tuple[str, asyncio.Future[bool]] | None = None
        self._alive_at = 0.0
        self.listener: Listener
        self.provenances: dict[str, Provenance] = {}  # of every stream so far: there are as many as models
        self.up = False
        self.came_up = asyncio.Event()  # set for good once the model has answered for the first time
        self.came_back = asyncio.Event()  # set while the model answers
        self.went_down = asyncio.Event()  # set while it, having answered before, does not

    async def send(self, request_id: str, item: Item, attempt: int) -> None:
        """Sends an item. If the stream breaks meanwhile, `on_break` tells."""
        if self._stream is None:
            raise StreamBrokenError("not connected")
        # If this hangs, so does the next probe, whose deadline ends the stream and with it this wait.
        await self._stream.send(self._encoder.encode(request_id, item, attempt))

    def doubt(self) -> None:
        """Asks for a probe now: something failed in a way that a dead model would explain."""
        self._doubt.set()

    async def run(self) -> None:
        """Connects, serves until the stream breaks, connects again."""
        first = True
        while True:
            stream = await self._connect(first)
            first = False
            self._stream = stream
            self._set_up(True)
            reader = asyncio.create_task(self._read(stream), name="triton-read")
            watch = asyncio.create_task(self._watch(stream), name="triton-watch")
            try:
                done, _ = await asyncio.wait({reader, watch}, return_when=asyncio.FIRST_COMPLETED)
                log.warning("triton_stream_broken", reason=str(next(iter(done)).exception()))
                for task in done:
                    _raise_unexpected(task)
                self._set_up(False)
            finally:
                self._stream = None
                self.up = False
                for task in (reader, watch):
                    task.cancel()
                await asyncio.gather(reader, watch, return_exceptions=True)
                await stream.close()

    async def _connect(self, first: bool) -> Stream:
        """A fresh stream on which the model has answered. Tries for as long as it takes."""
        told = first

        def failed(state: RetryCallState) -> None:
            nonlocal told
            if not told:
                told = True
                self.listener.on_break(survived=False)
            reason = state.outcome.exception() if state.outcome else None
            number = state.attempt_number
            if number & (number - 1) == 0:  # the first, second, fourth, eighth, ...: an outage may be long
                log.warning("triton_unreachable", reason=str(reason), attempt=number)

        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(StreamBrokenError),
            wait=wait_random_exponential(multiplier=BACKOFF_FIRST_S, max=self._settings.reconnect_max_s),
            before_sleep=failed,
        ):
            with attempt:
                stream = await open_stream(self._settings, self._encoder, self._probe_id(), self.provenances)
        if not told:
            self.listener.on_break(survived=True)
        return stream

    async def _read(self, stream: Stream) -> None:
        while True:
            request_id, outcome = await stream.receive()
            good = not isinstance(outcome, Failure)
            if good:
                self._alive_at = time.monotonic()
            if request_id.startswith(PROBE_PREFIX):
                if self._probe is not None and self._probe[0] == request_id and not self._probe[1].done():
                    self._probe[1].set_result(good)
            else:
                self.listener.on_outcome(request_id, outcome)

    async def _watch(self, stream: Stream) -> None:
        """Probes when in doubt, and when nothing was heard for a while: readiness endpoints can lie."""
        pause = 0.0
        while True:
            try:
                async with asyncio.timeout(pause or TICK_S):
                    await self._doubt.wait()
            except TimeoutError:
                self.listener.on_tick()
            quiet_s = time.monotonic() - self._alive_at
            if self.up and not self._doubt.is_set() and quiet_s < self._settings.probe_interval_s:
                continue
            self._doubt.clear()
            alive = await self._ask(stream)
            pause = 0.0 if alive else min(self._settings.reconnect_max_s, max(BACKOFF_FIRST_S, pause * 2))
            self._set_up(alive)
            self.listener.on_probe(alive)

    async def _ask(self, stream: Stream) -> bool:
        """Whether the model answers a probe. Other answers prolong the wait: they are ahead of it."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._probe = (self._probe_id(), answer)
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.probe_timeout_s):
                await stream.send(self._encoder.encode(self._probe[0], PROBE, 1))
        except TimeoutError:
            raise StreamBrokenError("the server takes no more messages") from None
        while (
            left_s := max(asked_at, self._alive_at) + self._settings.probe_timeout_s - time.monotonic()
        ) > 0:
            await asyncio.wait({answer}, timeout=min(left_s, TICK_S))
            if answer.done():
                return answer.result()
            self.listener.on_tick()
        return False

    def _probe_id(self) -> str:
        self._probe_number += 1
        return f"{PROBE_PREFIX}{self._probe_number}"

    def _set_up(self, up: bool) -> None:
        if up:
            self._alive_at = time.monotonic()
        if up == self.up:
            return
        self.up = up
        self._metrics.triton_up.set(up)
        if up:
            self.came_up.set()
            self.came_back.set()
            self.went_down.clear()
            log.info("triton_up", url=self._settings.triton_grpc_url)
            self.listener.on_up()
        else:
            self.came_back.clear()
            self.went_down.set()
            self._metrics.outages.inc()
            log.warning("triton_down")


def _raise_unexpected(task: asyncio.Task[None]) -> None:
    """A broken stream is what we expect; anything else is a bug and must stop the service."""
    error = task.exception()
    if error is not None and not isinstance(error, StreamBrokenError):
        raise error
