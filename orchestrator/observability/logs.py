"""One JSON line an event. Student texts never get here: log identifiers, counts and error kinds only."""

import atexit
import json
import logging
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import structlog

from orchestrator.observability.log_writer import LineWriter, keep_standard_streams_open

LAST_LINES_S = 1.0


def configure_logging(level: str, max_waiting: int) -> None:
    """Sends structlog's events and the libraries' warnings to stdout as JSON lines.

    As many as `max_waiting` lines wait for a slow reader; further ones are dropped, and counted.
    """
    keep_standard_streams_open()
    stream = LineWriter(1, max_waiting, _dropped)
    atexit.register(stream.drain, LAST_LINES_S)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(ensure_ascii=False)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, stream)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_messages,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))


def _dropped(count: int) -> str:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    told = {"event": "log_lines_dropped", "count": count, "level": "warning", "timestamp": now}
    return json.dumps(told) + "\n"


def where(error: BaseException) -> dict[str, Any]:
    """An exception's kind and frames, without its message: a message may quote a student's text."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "frames": [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in frames[-8:]],
    }


def _without_messages(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The same for exceptions that a library logs by itself."""
    info = event.pop("exc_info", None)
    if isinstance(info, tuple) and isinstance(info[1], BaseException):
        event.update(where(info[1]))
    return event
