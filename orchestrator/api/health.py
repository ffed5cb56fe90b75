"""GET /health, /health/live, /health/ready and /metrics."""

from contextlib import suppress
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from orchestrator import __version__
from orchestrator.api.errors import RETRY_AFTER_S, json_response
from orchestrator.api.keys import SERVICE
from orchestrator.api.service import Service
from orchestrator.errors import StoreUnavailableError
from orchestrator.store.fleet import Fleet
from orchestrator.store.reading import Backlog


async def health(request: web.Request) -> web.Response:
    """Healthy: a model answers, and the database can be written. Jobs are those of all processes."""
    service = request.app[SERVICE]
    backlog, fleet = Backlog(), Fleet()
    try:
        backlog = await service.backlog.get()
        fleet = await service.store.claims.fleet()
    except StoreUnavailableError as error:
        service.committer.doubt(error)
    writable = service.committer.healthy
    up = service.pool.up if service.pool is not None else fleet.triton_up
    good = up and writable and not service.drain.started
    answer = {
        "status": "healthy" if good else "unhealthy",
        "model_loaded": up,
        "gpu_available": service.gpu.available,
        "gpu_memory": service.gpu.memory,
        "active_jobs": backlog.processing,
        "queued_jobs": backlog.queued,
        "items_in_flight": service.drain.in_flight if service.pool is not None else fleet.in_flight,
        "roles": service.settings.roles,
        "workers": fleet.workers,
        "storage": "ok" if writable else "unavailable",
        "draining": service.drain.started,
        "version": __version__,
        "notice": service.settings.model_notice or None,
    }
    return json_response(answer, HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)


async def live(_: web.Request) -> web.Response:
    """The process answers. Nothing more: a restart would not bring Triton back."""
    return json_response({"status": "alive"})


async def ready(request: web.Request) -> web.Response:
    """A POST would be taken. A model that is away for a moment is no obstacle: jobs wait for it."""
    service = request.app[SERVICE]
    loaded = False
    try:
        await service.backlog.get()  # where nothing is written just now nothing else finds out
        loaded = await service.admission.loaded()
    except StoreUnavailableError as error:
        service.committer.doubt(error)
    if loaded and service.committer.healthy and not service.drain.started:
        return json_response({"status": "ready"})
    return json_response(
        {"status": "not_ready"}, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_AFTER_S)}
    )


async def metrics(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    await _refresh(service)
    return web.Response(body=service.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _refresh(service: Service) -> None:
    """Gauges of what is at hand anyway are set when somebody looks."""
    metrics, settings = service.metrics, service.settings
    with suppress(StoreUnavailableError):
        backlog = await service.backlog.get()
        metrics.processing.set(backlog.processing)
        metrics.queued.set(backlog.queued)
    metrics.in_flight.set(service.drain.in_flight)
    metrics.in_flight_limit.set(settings.max_in_flight)
    metrics.jobs_limit.set(settings.room)
    metrics.subscribers.set(service.broker.subscribers)
    for server in service.pool.servers if service.pool is not None else ():
        metrics.triton_in_flight.labels(server.name).set(server.in_flight)
        metrics.triton_capacity.labels(server.name).set(server.capacity)
