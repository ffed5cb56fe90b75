"""The addresses, and what every request passes through."""

from typing import Any

from aiohttp import web

from orchestrator.api import docs, evaluate, health, jobs, page, results
from orchestrator.api.cors import Cors
from orchestrator.api.errors import Handler, errors_as_json, route_of
from orchestrator.api.keys import SERVICE
from orchestrator.config import Settings


def add_api(app: web.Application, settings: Settings) -> None:
    """Adds routes, middlewares and cross-origin headers to the application."""
    cors = Cors(settings)
    middlewares: list[Any] = [_counted, cors.middleware(), errors_as_json]
    app.middlewares.extend(middlewares)
    app.on_response_prepare.append(cors.mark)
    app.router.add_get("/", page.index)
    app.router.add_get("/web/{asset}", page.asset)
    app.router.add_post("/evaluate", evaluate.evaluate)
    app.router.add_get("/stream/{job_id}", jobs.stream, allow_head=False)
    app.router.add_get("/status/{job_id}", jobs.status)
    app.router.add_get("/results/{job_id}", results.results)
    app.router.add_post("/cancel/{job_id}", jobs.cancel)
    app.router.add_get("/health", health.health)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    app.router.add_get("/metrics", health.metrics)
    app.router.add_get("/openapi.json", docs.openapi)
    app.router.add_get("/docs", docs.page)
    app.router.add_get("/docs/{asset}", docs.asset)


@web.middleware
async def _counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    request.app[SERVICE].metrics.http.labels(route_of(request), str(response.status)).inc()
    return response
