"""Server-sent events: writes what a cursor reads, for as long as somebody listens."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress

import orjson
import structlog
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from orchestrator.api.errors import STREAMING, ApiError, as_api_error
from orchestrator.api.sending import PIECE_BYTES
from orchestrator.api.service import Service
from orchestrator.errors import JobExpiredError, StoreUnavailableError, UnreadableJobError
from orchestrator.frames import unnumbered
from orchestrator.jobs import Job

log = structlog.get_logger()


async def stream_events(request: web.Request, service: Service, job: Job, after: int) -> web.StreamResponse:
    """Sends the job's events behind number `after`, and returns after the final one.

    Where it can't go on, as when the job expires meanwhile, the last message says so.
    """
    settings = service.settings
    response = EventSourceResponse(
        ping_interval=settings.sse_ping_s, send_timeout=settings.sse_send_timeout_s
    )
    response.content_type, response.charset = "text/event-stream", "utf-8"
    await response.prepare(request)
    request[STREAMING] = True
    try:
        async with response, service.broker.subscribe(job, after) as cursor:
            # It rides with the first message: a block without data is one that some readers trip over.
            retry = b"retry: %d\n" % settings.sse_retry_ms
            while True:
                frames = await cursor.read()
                if frames:
                    # Frames are rendered once and shared by all subscribers, so they go out as they are.
                    # Together where they are small; never a whole page of large ones in the buffer.
                    async with asyncio.timeout(settings.sse_send_timeout_s):
                        for piece in _pieces([retry, *frames] if retry else frames):
                            await response.write(piece)
                    retry = b""
                    for age_s in cursor.written(time.monotonic()):
                        service.metrics.delivery_seconds.observe(age_s)
                if cursor.ended:
                    break
                # The ping finds out about a client that vanished; we look at what it found.
                if not await cursor.wait(settings.sse_ping_s) and not _connected(request, response):
                    break
    except (JobExpiredError, UnreadableJobError) as error:
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(settings.sse_send_timeout_s):
                await response.write(_error_message(as_api_error(error)))
    except StoreUnavailableError as error:
        # The answer has begun, so it can only end: the client comes back with its Last-Event-ID.
        log.warning("stream_interrupted", job_id=job.id, reason=str(error))
    except ConnectionResetError:
        pass  # the client left; its cursor is forgotten
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()  # it does not read: closing politely would wait for it
    return response


def _error_message(error: ApiError) -> bytes:
    """The last message of a stream that can't go on. It has no id: nothing can be resumed behind it."""
    envelope = {"event": "error", "data": {"code": error.code, "error": error.message}}
    return unnumbered(orjson.dumps(envelope))


def _connected(request: web.Request, response: EventSourceResponse) -> bool:
    return response.is_connected() and request.transport is not None and not request.transport.is_closing()


def _pieces(frames: list[bytes]) -> Iterator[bytes]:
    """The frames, joined up to PIECE_BYTES."""
    some: list[bytes] = []
    size = 0
    for one in frames:
        if some and size + len(one) > PIECE_BYTES:
            yield b"".join(some)
            some, size = [], 0
        some.append(one)
        size += len(one)
    yield b"".join(some)
