"""Compressed bodies, unpacked in bounded steps: a few bytes can stand for gigabytes."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

from orchestrator.api.errors import ApiError

STEP_BYTES = 256 * 1024
ENCODINGS = "gzip, deflate"
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS
GZIP_START = 0x1F
ZLIB_METHOD, ZLIB_METHOD_MASK = 0x08, 0x0F


def unpacker(request: web.BaseRequest) -> "Unpacker | None":
    """For the request's Content-Encoding: None if it is not packed, ApiError if we can't unpack it."""
    encoding = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, [])).strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return Unpacker()
    raise ApiError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_encoding",
        f"Send the body as it is, or with Content-Encoding {ENCODINGS.replace(', ', ' or ')}.",
        headers={hdrs.ACCEPT_ENCODING: ENCODINGS},
    )


class Unpacker:
    """One body of one gzip member or deflate stream (RFC 1952, 1950, 1951)."""

    def __init__(self) -> None:
        self._stream: Any = None

    async def feed(self, data: bytes) -> AsyncIterator[bytes]:
        """What comes out of the next bytes, at most STEP_BYTES at a time. The work is done in a thread."""
        if self._stream is None:
            # What is called deflate is a zlib stream by the standard, and a bare one from some clients.
            packed = data[0] == GZIP_START or data[0] & ZLIB_METHOD_MASK == ZLIB_METHOD
            self._stream = zlib.decompressobj(GZIP_OR_ZLIB if packed else RAW)
        full = True
        while data or full:
            try:
                out = await asyncio.to_thread(self._stream.decompress, data, STEP_BYTES)
            except zlib.error:
                raise _broken() from None
            if self._stream.unused_data:
                raise _broken()
            data, full = self._stream.unconsumed_tail, len(out) == STEP_BYTES
            if out:
                yield out

    def end(self) -> None:
        """Raises ApiError if the packed stream was cut off."""
        if self._stream is None or not self._stream.eof:
            raise _broken()


def _broken() -> ApiError:
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "invalid_body",
        "The packed body could not be unpacked: it must be one whole gzip or deflate stream.",
    )
