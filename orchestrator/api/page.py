"""GET /: a page for teachers, who send a file and watch the marks come. Its files lie in `web/`."""

from html import escape
from pathlib import Path

from aiohttp import web

from orchestrator.api.assets import send_asset
from orchestrator.api.headers import CSP, PAGE
from orchestrator.api.keys import SERVICE

WEB = Path(__file__).parent / "web"
ASSETS = ("page.css", "page.js")
NOTICE_PLACE = "<!-- notice -->"
# A second lock behind never making markup of a text.
HEADERS = {CSP: PAGE}


async def index(request: web.Request) -> web.Response:
    """The page, which says what the model's marks are worth where there is something to say."""
    notice = request.app[SERVICE].settings.model_notice
    shown = f'<p role="note"><strong>{escape(notice)}</strong></p>' if notice else ""
    text = (WEB / "index.html").read_text("utf-8").replace(NOTICE_PLACE, shown)
    return web.Response(text=text, content_type="text/html", headers=HEADERS)


async def asset(request: web.Request) -> web.StreamResponse:
    name = request.match_info["asset"]
    if name not in ASSETS:
        raise web.HTTPNotFound
    return await send_asset(request, WEB / name)
