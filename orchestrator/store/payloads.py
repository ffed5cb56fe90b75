"""Events as they are stored and sent: JSON, in UTF-8."""

from typing import Any

import orjson

from orchestrator.jobs.events import Event


def payload(event: Event) -> bytes:
    """The one serialised form of an event."""
    return orjson.dumps(event.as_dict())


def results_in(stored: str | bytes) -> list[dict[str, Any]]:
    """The results that a stored event carries."""
    results: list[dict[str, Any]] = orjson.loads(stored)["data"].get("results", [])
    return results
