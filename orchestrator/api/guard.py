"""What a request has to be before anything looks at it: addressed to us, and not by a stranger's page."""

import ipaddress
import re
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, hdrs, web

from orchestrator.api.errors import ApiError, Handler

READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
JSON = "application/json"
FILES = ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
"""None of them can be sent by another site's page without being asked about first."""
TAKING_FILES = frozenset({"/evaluate", "/tables"})
_PLAIN = re.compile(r"[^\s@\\]+")


class Guard:
    """Checks Host, Origin, content type and announced size; one for every HTTP face of ours.

    A page of another site can make a browser send us requests (a form or plain text needs no preflight), and
    by pointing its own name at our address it could read the answers. So what changes something takes JSON
    (and some of it the files of spreadsheets) alone, which needs a preflight, from our own pages or those of
    `origins`; and a `Host` must be an IP address, localhost or one of `hosts`, which no stranger's name is.
    """

    def __init__(self, hosts: Collection[str], origins: Collection[str], max_body_bytes: int) -> None:
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._max_body_bytes = max_body_bytes

    def middleware(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.check(request)
            return await handler(request)

        return guard

    def check(self, request: web.BaseRequest) -> None:
        """Raises ApiError for a request that goes no further. Reads the header alone."""
        host = self._host(request)
        if request.method in READING:
            return
        self._check_origin(request, host)
        if request.can_read_body:
            check_type(request, (JSON, *(FILES if request.path in TAKING_FILES else ())))
        if request.content_length is not None and request.content_length > self._max_body_bytes:
            raise too_large(self._max_body_bytes)

    def _host(self, request: web.BaseRequest) -> str:
        given = request.headers.getall(hdrs.HOST, [])
        if not given and request.version < HttpVersion11:
            return ""  # HTTP/1.0 knows no Host; no browser speaks it, so no page is behind it
        if len(given) != 1:
            raise _bad_host()
        # The request's own host is that of its target, where the target names one beside the header.
        for host in (given[0], request.host):
            name = host_name(host)
            if name is None:
                raise _bad_host()
            if not (_is_local(name) or name in self._hosts):
                raise ApiError(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    "unknown_host",
                    "This service does not answer under that name: call it by its IP address, "
                    "or add the name to ALLOWED_HOSTS.",
                )
        return given[0].lower()

    def _check_origin(self, request: web.BaseRequest, host: str) -> None:
        given = request.headers.getall(hdrs.ORIGIN, [])
        if "*" in self._origins:
            return
        if not given:
            # Browsers name the origin of whatever changes something; this one is for those that would not.
            if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
                raise _foreign()
            return
        if len(given) > 1 or not (given[0] in self._origins or _same_place(given[0], host)):
            raise _foreign()


def host_name(host: str) -> str | None:
    """The name or address in `host` or `host:port`, in lower case; None where it can't be one."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != host or not _PLAIN.fullmatch(host):
        return None
    return name.lower().removesuffix(".")


def too_large(limit: int) -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"The body is too large: at most {limit} bytes are taken, unpacked; send fewer items at a time.",
        {"max_bytes": limit},
    )


def check_type(request: web.BaseRequest, types: Iterable[str]) -> None:
    """Raises ApiError unless the request says that its body is of one of these types."""
    if hdrs.CONTENT_TYPE not in request.headers or request.content_type not in types:
        named = ", ".join(types)
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            f"Send the body as Content-Type: {named}.",
            headers={hdrs.ACCEPT: named},
        )


def _is_local(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _same_place(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from us: host and port are the same.

    The scheme may differ: a proxy in front may speak https while we don't. Not at an address of a machine
    with a port: there nobody is in front, and a page by https is another one's.
    """
    scheme, separator, place = origin.lower().partition("://")
    if not separator or scheme not in DEFAULT_PORTS:
        return False
    port = DEFAULT_PORTS[scheme]
    parts = urlsplit(f"//{host}")
    if scheme == "https" and parts.port not in (None, 443) and _is_local(parts.hostname or ""):
        return False
    return place.removesuffix(port) == host.removesuffix(port)


def _bad_host() -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_host", "The Host header must name one host.")


def _foreign() -> ApiError:
    return ApiError(
        HTTPStatus.FORBIDDEN,
        "foreign_origin",
        "A page of another site may not do this: add its origin to CORS_ORIGINS if it shall.",
    )
