"""POST /tables: what is in a file, before anything is marked."""

from http import HTTPStatus

from aiohttp import web

from orchestrator.api.errors import ApiError
from orchestrator.api.guard import check_type
from orchestrator.api.keys import SERVICE
from orchestrator.api.table_options import KINDS, table_options


async def tables(request: web.Request) -> web.Response:
    """Reads a CSV or an Excel workbook, and keeps nothing of it."""
    check_type(request, KINDS)
    options = table_options(request, preview=True)
    service = request.app[SERVICE]
    async with service.bodies.read(request) as body:
        if not body.size:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "empty_table", "There is nothing in the file.")
        shown = await service.parser.preview(body, options)
    return web.Response(body=shown, content_type="application/json")
