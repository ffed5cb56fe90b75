"""What can go wrong, as exceptions whose text is one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AvaluaError(Exception):
    """Anything that this package raises on purpose."""


class ConfigurationError(AvaluaError):
    """The client was told something that can't be used, such as an address that is none."""


class UnavailableError(AvaluaError):
    """The service could not be reached for as long as the client waits."""


class ProtocolError(AvaluaError):
    """Something answered, but not as an Avalua service does; or results are missing or came twice."""


class StalledError(AvaluaError):
    """The service is there, and the job has had no new result for too long."""


class IncompleteError(AvaluaError):
    """A job ended before all of its texts were marked, since somebody cancelled it or it could not go on."""


class ApiError(AvaluaError):
    """The service refused a request. ``code`` is its word for why, empty where it gave none."""

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details or {}


class JobNotFoundError(ApiError):
    """404: there is no such job."""


class JobExpiredError(ApiError):
    """410: the job is over and its results are no longer kept."""
