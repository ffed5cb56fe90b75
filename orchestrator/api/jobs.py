"""GET /status, GET /stream and POST /cancel."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from orchestrator.api.errors import ApiError, job_expired, json_response
from orchestrator.api.keys import SERVICE
from orchestrator.api.sse import stream_events
from orchestrator.jobs import Job
from orchestrator.jobs.events import Progress

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def find_job(request: web.Request) -> Job:
    """The job that the address names: 404 if there never was one, 410 if it has expired."""
    job_id = request.match_info["job_id"]
    store = request.app[SERVICE].store
    job = await store.reading.job(job_id) if _UUID.fullmatch(job_id) else None
    if job is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "job_not_found", "There is no such job.")
    if job.expired(store.clock.now()):
        raise job_expired()
    return job


async def status(request: web.Request) -> web.Response:
    job = await find_job(request)
    return json_response({**_status_dict(request, job), **await _provenance(request, job)})


async def cancel(request: web.Request) -> web.Response:
    """Answers as soon as the end is on disk; what is in flight is not waited for."""
    job = await request.app[SERVICE].admission.cancel(await find_job(request))
    return json_response(
        {**_status_dict(request, job), **await _provenance(request, job)}, HTTPStatus.ACCEPTED
    )


async def _provenance(request: web.Request, job: Job) -> dict[str, Any]:
    """What the job's marks are made with, and what it was before if the model changed on the way."""
    found = [one.as_dict() for one in await request.app[SERVICE].store.reading.provenances(job.id)]
    return {"provenance": found[-1] if found else None, "earlier_provenances": found[:-1]}


async def stream(request: web.Request) -> web.StreamResponse:
    service = request.app[SERVICE]
    job = await find_job(request)
    after = _last_event_id(request)
    if job.terminal and after >= job.last_event:
        return web.Response(status=HTTPStatus.NO_CONTENT)  # tells a browser's EventSource to stop
    if after > job.last_event:
        raise _not_an_event()  # waiting until there are so many would pass over all those before
    return await stream_events(request, service, job, after)


def _last_event_id(request: web.Request) -> int:
    """The header's, which a browser sends when it comes back, before that of the address it began with."""
    given = request.headers.get("Last-Event-ID"), request.query.get("last_event_id")
    numbers = [text for text in given if text]
    if not all(text.isascii() and text.isdigit() and len(text) <= 9 for text in numbers):
        raise _not_an_event()
    return int(numbers[0]) if numbers else 0


def _not_an_event() -> ApiError:
    message = "Last-Event-ID must be the id of an event of this job."
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_last_event_id", message)


def _status_dict(request: web.Request, job: Job) -> dict[str, Any]:
    elapsed_s = 0.0
    if job.started_at is not None:
        now = request.app[SERVICE].store.clock.now()
        elapsed_s = max(0.0, (job.finished_at or now) - job.started_at)
    progress = Progress(job.completed, job.total, elapsed_s, job.rate, job.rate_error)
    return {
        "job_id": job.id,
        "status": job.status,
        "priority": job.priority,
        "progress": progress.as_dict(),
        "failed_items": job.failed_items,
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "finished_at": _iso(job.finished_at),
        "expires_at": _iso(job.expires_at),
    }


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
