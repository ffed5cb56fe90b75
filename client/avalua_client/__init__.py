"""Have short texts marked by an Avalua service.

``AvaluaClient`` is for asyncio, ``SyncAvaluaClient`` for everything else; ``avalua_client.tables`` reads and
writes the files that people have. The command line is ``avalua``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avalua_client.client import AvaluaClient
    from avalua_client.errors import (
        ApiError,
        AvaluaError,
        ConfigurationError,
        IncompleteError,
        JobExpiredError,
        JobNotFoundError,
        ProtocolError,
        StalledError,
        UnavailableError,
    )
    from avalua_client.models import Batch, End, Item, Job, Progress, Result, Status
    from avalua_client.retrying import Retry
    from avalua_client.sync import SyncAvaluaClient

__version__ = "0.1.0"
_PLACES = {
    "client": ("AvaluaClient",),
    "sync": ("SyncAvaluaClient",),
    "retrying": ("Retry",),
    "models": ("Batch", "End", "Item", "Job", "Progress", "Result", "Status"),
    "errors": (
        "ApiError",
        "AvaluaError",
        "ConfigurationError",
        "IncompleteError",
        "JobExpiredError",
        "JobNotFoundError",
        "ProtocolError",
        "StalledError",
        "UnavailableError",
    ),
}

__all__ = [
    "ApiError",
    "AvaluaClient",
    "AvaluaError",
    "Batch",
    "ConfigurationError",
    "End",
    "IncompleteError",
    "Item",
    "Job",
    "JobExpiredError",
    "JobNotFoundError",
    "Progress",
    "ProtocolError",
    "Result",
    "Retry",
    "StalledError",
    "Status",
    "SyncAvaluaClient",
    "UnavailableError",
]


def __getattr__(name: str) -> Any:
    """Imported when it is asked for: ``avalua_client.tables`` must not need an HTTP library."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"avalua_client.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
