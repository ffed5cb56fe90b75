"""Files that pages are made of: scripts, styles and pictures."""

import hashlib
from collections.abc import AsyncIterator
from functools import cache
from http import HTTPStatus
from pathlib import Path

from aiohttp import hdrs, web

from orchestrator.api.sending import PIECE_BYTES, send_pieces

TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}


async def send_asset(request: web.Request, path: Path) -> web.StreamResponse:
    """The file, or 304 if the browser has it. Not the library's answer for files: that has no deadline."""
    data, tag = _read(path)
    headers: dict[str, str] = {hdrs.ETAG: tag, hdrs.CACHE_CONTROL: "no-cache"}
    if request.headers.get(hdrs.IF_NONE_MATCH) == tag:
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers[hdrs.CONTENT_TYPE] = TYPES[path.suffix]
    return await send_pieces(request, _pieces(data), headers, len(data))


@cache
def _read(path: Path) -> tuple[bytes, str]:
    data = path.read_bytes()
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]
