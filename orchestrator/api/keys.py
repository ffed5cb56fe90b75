"""Where the handlers find the service."""

from aiohttp import web

from orchestrator.service import Service

SERVICE = web.AppKey("service", Service)
