"""Bodies on their way in: each with a deadline and a least rate, all of them with a bound on memory."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import HttpVersion11, web

from orchestrator.api.errors import ApiError
from orchestrator.api.guard import too_large
from orchestrator.api.unpacking import unpacker
from orchestrator.config import Settings
from orchestrator.errors import DrainingError

BUSY_RETRY_S = 2
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Body:
    """One body: what of it is in memory, and how fast it comes."""

    def __init__(self, settings: Settings) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self.reading = True
        self.gives_way = False
        self.waits = False
        self.deadline = time.monotonic() + settings.body_timeout_s
        self._grace_s = settings.upload_grace_s
        self.limit = asyncio.timeout(None)
        """Of the block in which it is read and understood; moved to now where nobody will use it."""
        self._waiting: asyncio.Timeout | None = None
        self._stopped: float | None = None
        self._last_rate = 0.0
        self._begin_window()

    @property
    def patience_s(self) -> float:
        """How long to wait for more before its deadline or its rate has to be looked at."""
        return max(0.0, min(self.deadline, self._window_end) - time.monotonic())

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Raises TimeoutError in the block when patience is at an end, or when it gives way."""
        async with asyncio.timeout(self.patience_s) as self._waiting:
            yield
        self._waiting = None

    def came(self, count: int) -> None:
        self._window_bytes += count

    def rate(self) -> float | None:
        """Bytes a second since the last window began, once that is over; then a new one begins."""
        now = time.monotonic()
        if now < self._window_end:
            return None
        self._last_rate = self._window_bytes / (now - self._window_began)
        self._begin_window()
        return self._last_rate

    def merit(self) -> float:
        """How fast it has been coming, for the memory that it takes."""
        passed_s = max(0.1, (self._stopped or time.monotonic()) - self._window_began)
        return max(self._last_rate, self._window_bytes / passed_s) / self.size

    def give_way(self) -> None:
        self.gives_way = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    @property
    def candidate(self) -> bool:
        """Whether it could give way to another."""
        return self.reading and self.size > 0 and not self.gives_way

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """While the block runs, we don't read: that is no fault of the sender's."""
        began = self._stopped = time.monotonic()
        self.waits = True
        try:
            yield
        finally:
            self.waits, self._stopped = False, None
            self.deadline += time.monotonic() - began
            self._begin_window()

    def _begin_window(self) -> None:
        self._window_began = time.monotonic()
        self._window_end = self._window_began + self._grace_s
        self._window_bytes = 0


class Bodies:
    """The bodies in memory. A place is taken by the bytes that are there, never by those that are awaited.

    Where there is no room for more, a body waits until others are done. If none of them moves, or after a
    while, the one that comes slowest for its size gives way: so whoever sends a byte a minute can't hold
    memory, and no two wait for each other. A quarter is kept for small bodies, beside large ones.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: set[Body] = set()
        self._bytes = 0
        self._freed = asyncio.Event()
        self._closed = False

    def close(self) -> None:
        """Refuses all that are being read, and whatever comes from now on: the service is shutting down."""
        self._closed = True
        for body in self._held:
            body.limit.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def read(self, request: web.Request) -> AsyncIterator[Body]:
        """The request's body, unpacked. It counts as memory in use while the block runs.

        Raises ApiError: 400 broken, 408 too slow, 413 too large, 415 packed otherwise, 503 no memory left.
        DrainingError if the service begins to shut down while the block runs, which is left at once.
        """
        if self._closed:
            raise DrainingError
        body = Body(self._settings)
        self._held.add(body)
        try:
            async with body.limit:
                await self._fill(body, request)
                body.reading = False
                yield body
        except TimeoutError:
            if body.limit.expired():
                raise DrainingError from None
            raise
        finally:
            self._held.discard(body)
            self._bytes -= body.size
            self._freed.set()
            self._freed = asyncio.Event()

    async def _fill(self, body: Body, request: web.Request) -> None:
        limit, unpacking = self._settings.max_body_bytes, unpacker(request)
        if request.headers.get("Expect") is not None and request.version >= HttpVersion11:
            await request.writer.write(CONTINUE)
            request.writer.output_size = 0  # it is no part of the answer
        packed = 0
        while data := await self._next(body, request):
            packed += len(data)
            if packed > limit:
                raise too_large(limit)
            if unpacking is None:
                await self._keep(body, data)
                continue
            async for out in unpacking.feed(data):
                if body.size + len(out) > limit:
                    raise too_large(limit)
                await self._keep(body, out)
        if unpacking is not None:
            unpacking.end()

    async def _next(self, body: Body, request: web.Request) -> bytes:
        """What has come; nothing at the end of the body."""
        while True:
            data = None
            try:
                async with body.waiting():
                    data = await request.content.readany()
            except TimeoutError:
                pass
            except web.RequestPayloadError:
                raise ApiError(
                    HTTPStatus.BAD_REQUEST, "invalid_body", "The body could not be read to its end."
                ) from None
            if body.gives_way:
                raise _no_memory()
            if data == b"":
                return data
            body.came(len(data or b""))
            if time.monotonic() >= body.deadline:
                raise _late(f"The body did not arrive within {self._settings.body_timeout_s:g} seconds.")
            least = self._settings.min_upload_bytes_per_s
            if (rate := body.rate()) is not None and rate < least:
                raise _late(f"The body comes too slowly: send at least {least} bytes a second.")
            if data is not None:
                return data

    async def _keep(self, body: Body, data: bytes) -> None:
        if self._bytes + len(data) > self._room(body.size + len(data)):
            async with body.held_up():
                await self._wait_for_room(body, len(data))
        body.pieces.append(data)
        body.size += len(data)
        self._bytes += len(data)

    async def _wait_for_room(self, body: Body, count: int) -> None:
        deadline = time.monotonic() + self._settings.parse_timeout_s
        waited_long = False
        while self._bytes + count > self._room(body.size + count):
            if body.gives_way or time.monotonic() > deadline:
                raise _no_memory()
            if waited_long or self._nobody_moves():
                slowest = min((one for one in self._held if one.candidate), key=Body.merit, default=body)
                if slowest is body:
                    raise _no_memory()
                slowest.give_way()
            try:
                async with asyncio.timeout(self._settings.upload_grace_s):
                    await self._freed.wait()
                waited_long = False
            except TimeoutError:
                waited_long = True

    def _nobody_moves(self) -> bool:
        """Whether waiting for more room is in vain: no large body is about to be done, or to give way."""
        large = [one for one in self._held if one.size > self._settings.parse_inline_bytes]
        return all(one.reading and one.waits and not one.gives_way for one in large)

    def _room(self, size: int) -> int:
        most = self._settings.max_upload_memory_bytes
        if size <= self._settings.parse_inline_bytes:
            return most
        return max(self._settings.max_body_bytes, most * 3 // 4)


def _late(message: str) -> ApiError:
    return ApiError(HTTPStatus.REQUEST_TIMEOUT, "body_timeout", message)


def _no_memory() -> ApiError:
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_uploads",
        "Too many large bodies are arriving; try again later.",
        headers={"Retry-After": str(BUSY_RETRY_S)},
    )
