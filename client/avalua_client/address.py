"""The address of a service, as people write it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from avalua_client.errors import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:8000"
_KNOWN_PATHS = ("/evaluate", "/health", "/docs", "/openapi.json", "/metrics")
"""What somebody may have copied from a browser behind the address itself."""


def read_address(text: str) -> str:
    """A URL without a ``/`` at its end: ``localhost:8000`` and ``http://localhost:8000/docs`` are the same.

    A path in front of the service's own, as behind a proxy, is kept. Raises ConfigurationError.
    """
    text = text.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise ConfigurationError(
            "The address of the service must look like http://localhost:8000 or https://avalua.example.cat."
        )
    path = parts.path.rstrip("/")
    for known in _KNOWN_PATHS:
        path = path.removesuffix(known)
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}"


def on_this_machine(url: str) -> bool:
    """Whether the address is a loopback one: nothing of what is sent there leaves the machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def encrypted(url: str) -> bool:
    """Whether nobody on the way can read what is sent."""
    return urlsplit(url).scheme == "https" or on_this_machine(url)
