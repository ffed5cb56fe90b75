"""POST /evaluate."""

import asyncio
import hashlib
import math
from http import HTTPStatus

import orjson
from aiohttp import web

from orchestrator.api.errors import ApiError, json_response
from orchestrator.api.keys import SERVICE
from orchestrator.api.schemas import parse_request
from orchestrator.errors import DrainingError
from orchestrator.jobs import Item, Priority
from orchestrator.service import Service

MAX_KEY_CHARS = 255


async def evaluate(request: web.Request) -> web.Response:
    """Takes a job in. It is on disk before the answer leaves."""
    service = request.app[SERVICE]
    if service.dispatcher.draining:
        raise DrainingError
    key = _idempotency_key(request)
    body = await _body(request, service)
    items, priority = parse_request(body, service.settings)
    digest = _digest(items, priority)
    created = await service.intake.submit(items, priority, key, digest)
    if not created.fresh and created.digest != digest:
        raise ApiError(
            HTTPStatus.CONFLICT,
            "idempotency_key_reused",
            "This Idempotency-Key came with another body before.",
        )
    job = created.job
    answer = {
        "job_id": job.id,
        "total_items": job.total,
        "estimated_time_seconds": math.ceil(service.intake.seconds_until_done(job)),
        "status": job.status,
        "stream_url": f"/stream/{job.id}",
    }
    return json_response(answer, HTTPStatus.ACCEPTED, {"Location": f"/status/{job.id}"})


def _idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_idempotency_key",
            f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable ASCII characters.",
        )
    return key


async def _body(request: web.Request, service: Service) -> bytes:
    limit = service.settings.max_body_bytes
    if request.content_length is not None and request.content_length > limit:
        raise web.HTTPRequestEntityTooLarge(limit)
    try:
        async with asyncio.timeout(service.settings.body_timeout_s), service.uploads:
            return await request.read()
    except TimeoutError:
        raise ApiError(
            HTTPStatus.REQUEST_TIMEOUT, "body_timeout", "The body did not arrive in time."
        ) from None
    except web.RequestPayloadError:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", "The body could not be read.") from None


def _digest(items: list[Item], priority: Priority) -> str:
    """Of the content, so that a body that is only laid out differently is the same one."""
    rows = [[item.id_alumno, item.curso, item.consigna, item.respuesta] for item in items]
    return hashlib.sha256(orjson.dumps([priority, rows])).hexdigest()
