"""GET /openapi.json, and /docs: Swagger UI from the bundle of a package, so that it needs no internet."""

from html import escape
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

from orchestrator.api import headers
from orchestrator.api.assets import send_asset
from orchestrator.api.errors import json_response
from orchestrator.api.headers import CSP
from orchestrator.api.keys import SERVICE
from orchestrator.api.openapi import build_openapi
from orchestrator.api.page import WEB

OURS = "docs.js"
ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
HEADERS = {CSP: headers.PAGE.replace("img-src 'self'", "img-src 'self' data:")}  # of Swagger UI's style sheet
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Avalua</title>
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <link rel="icon" type="image/png" href="docs/favicon-32x32.png">
</head>
<body>
{notice}<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/docs.js"></script>
</body>
</html>
"""


async def openapi(request: web.Request) -> web.Response:
    return json_response(build_openapi(request.app[SERVICE].settings))


async def page(request: web.Request) -> web.Response:
    notice = request.app[SERVICE].settings.model_notice
    shown = f'<p role="note"><strong>{escape(notice)}</strong></p>\n' if notice else ""
    return web.Response(text=PAGE.format(notice=shown), content_type="text/html", headers=HEADERS)


async def asset(request: web.Request) -> web.StreamResponse:
    name = request.match_info["asset"]
    if name == OURS:
        return await send_asset(request, WEB / name)
    if name not in ASSETS:
        raise web.HTTPNotFound
    return await send_asset(request, _bundle() / name)


def _bundle() -> Path:
    # Found without being imported: only its files are wanted, not its handlers for every framework.
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise web.HTTPNotFound
    return Path(spec.origin).parent / "static"
