"""Where the handlers find the service."""

from aiohttp import web

from orchestrator.api.service import Service

SERVICE = web.AppKey("service", Service)
