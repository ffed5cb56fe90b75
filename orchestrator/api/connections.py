"""Connections: bounded in number and in time, whatever the other end does or leaves undone."""

import asyncio
import resource
import socket
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from prometheus_client import Counter

from orchestrator.api.errors import ApiError, from_aiohttp
from orchestrator.api.headers import NAME, SECURITY
from orchestrator.api.keys import SERVICE
from orchestrator.config import Settings
from orchestrator.errors import StartError
from orchestrator.observability.logs import where

MOST_CONNECTIONS = 4096
OTHER_FILES = 64  # for database, log, Triton and what else is open beside connections and tables
UNSENT_BYTES = 128 * 1024  # of each connection in the kernel, beyond what is under way
LINGER_S = 2.0  # how long the rest of a refused body is read, so that the client gets to read the answer
CANCEL_S = 0.2  # at the end, for a handler that is not done by then to be cancelled
READ_BYTES = 64 * 1024
BACKLOG = 256

log = structlog.get_logger()


class Connections:
    """All open connections, and who has to make room when there are too many.

    The last few places are for health checks alone. Where all are taken, the connection that has been idle
    for the longest time ends for the newcomer: so thousands that only sit there can't lock anybody out.
    """

    def __init__(self, settings: Settings, closed: Counter) -> None:
        self.settings = settings
        self.most = most_connections(settings)
        self.ordinary = max(1, self.most - settings.health_connections)
        self._closed = closed
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # the longest idle first

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: "Connection") -> bool:
        """Whether there is a place for it; it may be one for health checks alone."""
        if len(self._open) >= self.ordinary and (idle := next(iter(self._idle), None)) is not None:
            idle.end("too_many")
            self.leave(idle)
        if len(self._open) >= self.most:
            self.count("too_many")
            return False
        connection.health_only = len(self._open) >= self.ordinary
        self._open.add(connection)
        return True

    def leave(self, connection: "Connection") -> None:
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def idle(self, connection: "Connection", now: bool) -> None:
        """It waits for a request, or no longer does."""
        self._idle.pop(connection, None)
        if now and connection in self._open:
            self._idle[connection] = None

    def count(self, reason: str) -> None:
        self._closed.labels(reason).inc()


class Connection(web.RequestHandler):
    """aiohttp's connection, with deadlines for what the other end sends and reads."""

    def __init__(self, connections: Connections, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        settings = connections.settings
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=settings.keepalive_timeout_s,
            lingering_time=LINGER_S,
            read_bufsize=READ_BYTES,
            auto_decompress=False,  # unpacking.py does it in bounded steps
            access_log=None,  # type: ignore[arg-type]
        )
        self.health_only = False
        self._connections = connections
        self._wire: asyncio.Transport | None = None  # aiohttp forgets its own before all is sent
        self._header_due: asyncio.TimerHandle | None = None
        self._send_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self._connections.admit(self):
            transport.abort()
            return
        self._wire = transport
        super().connection_made(transport)
        # Paused as soon as anything waits in our buffer: then the clock runs for a client that does not read.
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        if sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._connections.idle(self, now=True)
        self._expect_header()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.leave(self)
        self._forget(self._header_due)
        self._forget(self._send_due)
        if self._wire is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        if self._request_count > before:
            self._forget(self._header_due)
            self._header_due = None
            self._connections.idle(self, now=False)
            last, _ = self._messages[-1] if self._messages else (None, None)
            if self._current_request is not None and not isinstance(last, RawRequestMessage | None):
                # Something that is none came in the middle of a body: its reader must not wait for more.
                self._current_request.content.set_exception(web.RequestPayloadError())
        elif self._waiter is not None and self._header_due is None:
            self._expect_header()  # the first bytes of a further request

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= HTTPStatus.BAD_REQUEST:
            resp = _plain(from_aiohttp(request, resp))  # raised where no middleware is around it
        if self.health_only:
            resp.force_close()
        answered = await super().finish_response(request, resp, start_time)
        if not self._messages:
            self._connections.idle(self, now=True)
        return answered

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_due = self._loop.call_later(
            self._connections.settings.send_timeout_s, self.end, "not_reading"
        )

    def resume_writing(self) -> None:
        self._forget(self._send_due)
        super().resume_writing()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,  # noqa: ARG002
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  it may quote what was sent
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, in the one shape of errors; and to a fault of ours."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun")
        if isinstance(exc, ConnectionError):
            raise exc
        if isinstance(exc, HttpProcessingError):
            self._connections.count("bad_request")
            log.debug("bad_request", error=type(exc).__name__)
            return _plain(_unreadable(exc))
        if exc is not None:
            log.error("request_failed", **where(exc))
        return _plain(
            ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.")
        )

    def log_exception(self, *_: Any, exc_info: BaseException | None = None, **__: Any) -> None:
        """One line without a message: that may quote what a client sent."""
        if isinstance(exc_info, web.RequestPayloadError):
            return  # of a body that nobody wanted any more
        log.error("connection_failed", **(where(exc_info) if exc_info is not None else {}))

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109  aiohttp's signature
        """Lets the answer under way come to its end, and the rest of a refused body be read, at most so long.

        aiohttp itself would close at once behind the answer: to a client that is still sending that is a
        reset, which may overtake the answer.
        """
        self.close()
        if (task := self._task_handler) is not None:
            await asyncio.wait({task}, timeout=timeout)
        await super().shutdown(CANCEL_S)

    def end(self, reason: str) -> None:
        """Ends the connection at once, whatever is unsent."""
        self._connections.count(reason)
        if self._wire is not None:
            self._wire.abort()

    def _expect_header(self) -> None:
        self._header_due = self._loop.call_later(
            self._connections.settings.header_timeout_s, self.end, "header_late"
        )

    @staticmethod
    def _forget(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class Site(web.TCPSite):
    """Listens, and bounds what comes."""

    def __init__(self, runner: web.AppRunner, connections: Connections) -> None:
        super().__init__(runner, connections.settings.host, connections.settings.port, backlog=BACKLOG)
        self._connections = connections

    async def start(self) -> None:
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None
        self._server = await loop.create_server(
            lambda: Connection(self._connections, server, loop), self._host, self._port, backlog=self._backlog
        )


def listening_site(runner: web.AppRunner, settings: Settings) -> Site:
    """Where a runner that is set up listens. Raises StartError if the settings don't fit this process."""
    metrics = runner.app[SERVICE].metrics
    connections = Connections(settings, metrics.connections_closed)
    metrics.connections.set_function(lambda: len(connections))
    metrics.connections_limit.set(connections.most)
    return Site(runner, connections)


def most_connections(settings: Settings) -> int:
    """The setting, or what the limit on open files leaves; StartError where it leaves too few."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = (
        MOST_CONNECTIONS
        if files == resource.RLIM_INFINITY
        else files - OTHER_FILES - settings.max_open_tables
    )
    wanted = settings.max_connections
    least = settings.health_connections + 1
    if (wanted or least) > room:
        raise StartError(
            f"{files} open files are too few for {wanted or least} connections: "
            "raise the limit (ulimit -n), or lower MAX_CONNECTIONS"
        )
    if wanted is not None and wanted < least:
        raise StartError("MAX_CONNECTIONS must be more than HEALTH_CONNECTIONS")
    return wanted or min(MOST_CONNECTIONS, room)


def _plain(error: ApiError) -> web.Response:
    """For where no application is around the answer to add headers."""
    response = error.response()
    response.headers.update(SECURITY)
    response.headers[hdrs.SERVER] = NAME
    response.force_close()
    return response


def _unreadable(error: HttpProcessingError) -> ApiError:
    if isinstance(error, LineTooLong):
        return ApiError(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "header_too_large",
            "The address or a header of the request is too long.",
        )
    return ApiError(HTTPStatus.BAD_REQUEST, "bad_request", "That is no HTTP request that can be read.")
