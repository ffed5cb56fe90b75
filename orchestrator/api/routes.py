"""The addresses, and what every request passes through."""

from http import HTTPStatus

from aiohttp import web

from orchestrator.api import docs, evaluate, health, jobs, page, results, tables
from orchestrator.api.cors import Cors
from orchestrator.api.errors import RETRY_AFTER_S, ApiError, Handler, errors_as_json, route_of
from orchestrator.api.guard import Guard
from orchestrator.api.headers import secure
from orchestrator.api.keys import SERVICE
from orchestrator.config import Settings

HEALTH = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})


def add_api(app: web.Application, settings: Settings) -> None:
    """Adds routes, middlewares and the headers of all answers to the application."""
    cors = Cors(settings)
    guard = Guard(settings.allowed_hosts, settings.cors_origins, settings.max_body_bytes)
    outer = (_counted, errors_as_json, _places_for_health)
    app.middlewares.extend((*outer, guard.middleware(), cors.middleware()))
    app.on_response_prepare.extend((cors.mark, secure))
    app.router.add_get("/health", health.health)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    app.router.add_get("/metrics", health.metrics)
    if not settings.is_api:
        return
    app.router.add_get("/", page.index)
    app.router.add_get("/web/{asset}", page.asset)
    app.router.add_post("/evaluate", evaluate.evaluate, expect_handler=_not_yet)
    app.router.add_post("/tables", tables.tables, expect_handler=_not_yet)
    app.router.add_get("/stream/{job_id}", jobs.stream, allow_head=False)
    app.router.add_get("/status/{job_id}", jobs.status)
    app.router.add_get("/results/{job_id}", results.results)
    app.router.add_post("/cancel/{job_id}", jobs.cancel, expect_handler=_not_yet)
    app.router.add_get("/openapi.json", docs.openapi)
    app.router.add_get("/docs", docs.page)
    app.router.add_get("/docs/{asset}", docs.asset)


@web.middleware
async def _counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    request.app[SERVICE].metrics.http.labels(route_of(request), str(response.status)).inc()
    return response


@web.middleware
async def _places_for_health(request: web.Request, handler: Handler) -> web.StreamResponse:
    """On one of the last connections, health checks alone are answered."""
    if getattr(request.protocol, "health_only", False) and route_of(request) not in HEALTH:
        raise ApiError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "too_many_connections",
            "Too many connections are open; try again later.",
            headers={"Retry-After": str(RETRY_AFTER_S)},
        )
    return await handler(request)


async def _not_yet(request: web.Request) -> None:
    """A body is asked for when it is read, not before we know that we want it."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed
