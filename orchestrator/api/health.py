"""GET /health, /health/live, /health/ready and /metrics."""

from http import HTTPStatus

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from orchestrator import __version__
from orchestrator.api.errors import RETRY_AFTER_S, json_response
from orchestrator.api.keys import SERVICE
from orchestrator.api.service import Service


async def health(request: web.Request) -> web.Response:
    """Healthy: the model answers, and the database can be written."""
    service = request.app[SERVICE]
    good = service.link.up and service.writer.healthy and not service.dispatcher.draining
    answer = {
        "status": "healthy" if good else "unhealthy",
        "model_loaded": service.link.up,
        "gpu_available": service.gpu.available,
        "gpu_memory": service.gpu.memory,
        "active_jobs": service.dispatcher.running,
        "queued_jobs": service.intake.waiting,
        "items_in_flight": service.dispatcher.in_flight,
        "storage": "ok" if service.writer.healthy else "unavailable",
        "draining": service.dispatcher.draining,
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
    if service.link.came_up.is_set() and service.writer.healthy and not service.dispatcher.draining:
        return json_response({"status": "ready"})
    return json_response(
        {"status": "not_ready"}, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_AFTER_S)}
    )


async def metrics(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    _refresh(service)
    return web.Response(body=service.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _refresh(service: Service) -> None:
    """Gauges of what is at hand anyway are set when somebody looks."""
    service.metrics.in_flight.set(service.dispatcher.in_flight)
    service.metrics.processing.set(service.dispatcher.running)
    service.metrics.queued.set(service.intake.waiting)
    service.metrics.subscribers.set(service.feed.subscribers)
    settings = service.settings
    service.metrics.in_flight_limit.set(settings.max_in_flight)
    service.metrics.jobs_limit.set(settings.max_concurrent_jobs + settings.max_queued_jobs)
