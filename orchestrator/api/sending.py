"""Answers sent piece by piece: a client that does not read costs us one piece, however long the answer."""

from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from orchestrator.api.errors import STREAMING

PIECE_BYTES = 64 * 1024


async def send_pieces(
    request: web.Request, pieces: AsyncIterator[bytes], headers: Mapping[str, str], length: int | None = None
) -> web.StreamResponse:
    """A 200 of unknown or known length. If making a piece fails, the connection ends before the answer does.

    Where the first one fails there is no answer yet: what it raises may become another one.
    Waits until the client has read each piece; the connection's own deadline ends one that does not.
    """
    response = web.StreamResponse(headers=headers)
    response.content_length = length
    first = await anext(pieces, b"")
    await response.prepare(request)
    request[STREAMING] = True
    if request.method != "HEAD":
        await write(response, first)
        async for piece in pieces:
            await write(response, piece)
    await response.write_eof()
    return response


async def write(response: web.StreamResponse, data: bytes) -> None:
    """Writes data of any length, a piece at a time: a write waits once 64 KiB have not been read."""
    for start in range(0, len(data), PIECE_BYTES):
        await response.write(data[start : start + PIECE_BYTES])
