"""POST /evaluate."""

import math
from http import HTTPStatus

from aiohttp import web

from orchestrator.api.errors import ApiError, json_response
from orchestrator.api.guard import FILES, JSON, check_type
from orchestrator.api.keys import SERVICE
from orchestrator.api.table_options import table_options

MAX_KEY_CHARS = 255


async def evaluate(request: web.Request) -> web.Response:
    """Takes a job in. It is on disk before the answer leaves.

    What can be refused without the body is refused before it is read.
    """
    service = request.app[SERVICE]
    check_type(request, (JSON, *FILES))
    options = table_options(request)
    key = _idempotency_key(request)
    if await service.admission.known(key) is None:
        await service.admission.check_room()
    async with service.bodies.read(request) as body:
        posted = await service.parser.parse(body, options)
    created = await service.admission.submit(posted, key)
    if not created.fresh and created.digest != posted.digest:
        raise ApiError(
            HTTPStatus.CONFLICT,
            "idempotency_key_reused",
            "This Idempotency-Key came with another body before.",
        )
    job = created.job
    answer = {
        "job_id": job.id,
        "total_items": job.total,
        "estimated_time_seconds": math.ceil(await service.admission.seconds_until_done(job)),
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
