"""HTTP and gRPC to servers on this machine, whatever proxies the environment names."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

CHANNEL = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]
"""Options of a gRPC channel. tritonclient takes them in place of its own."""
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_url(url: str | urllib.request.Request, timeout: float) -> Any:
    """As ``urllib.request.urlopen``."""
    return OPENER.open(url, timeout=timeout)


def get(url: str, body: bytes | None = None, timeout: float = 60) -> tuple[int, str]:
    """Status and text of the answer to GET, or to POST of a ``body`` of JSON."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with open_url(request, timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
