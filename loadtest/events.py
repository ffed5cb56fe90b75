"""A job's events as one client hears them, and what they say about the service. Pure but for the recorder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson

from loadtest.recorder import DELIVERY, FIRST_BATCH, GAP, ITEM, JOB, Recorder
from loadtest.texts import Item


def messages(lines: Iterable[bytes]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each whole message's envelope with its size; comments and what was cut off do not count."""
    data = b""
    for line in lines:
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        if field == b"data":
            data += value.removeprefix(b" ")
        elif not line.strip() and data:
            yield orjson.loads(data), len(data)
            data = b""


class Following:
    """One job from its submission to its final event. Times are monotonic unless they are called wall."""

    def __init__(self, recorder: Recorder, items: Sequence[Item], since: float) -> None:
        """``since``: when the job was handed in, or should have been."""
        self._recorder = recorder
        self._students = [item["id_alumno"] for item in items]
        self._since = since
        self._last_batch: float | None = None
        self._seen: set[int] = set()
        self._heard: list[tuple[float, float]] = []
        self._batches = 0
        self.ended = False

    def hear(self, envelope: dict[str, Any], size: int, at: float, wall: float) -> None:
        """One event has arrived."""
        data = envelope["data"]
        if envelope["event"] != "batch_complete":
            self._end(data, at)
            return
        if self._last_batch is None:
            self._recorder.took(FIRST_BATCH, at - self._since, size)
        else:
            self._recorder.took(GAP, at - self._last_batch, size)
        self._last_batch = at
        self._batches += 1
        if data["batch_number"] != self._batches:
            self._recorder.failed(JOB, f"batch {data['batch_number']} came in place {self._batches}")
        self._heard.append((data["progress"]["elapsed_seconds"], wall))
        for result in data["results"]:
            self._take(result, at)

    def deliveries(self, started_at: str, opened_wall: float) -> None:
        """How long each batch took from being made to being here, for clocks that agree.

        What was made before the stream was open says nothing: it is sent again to whoever comes later.
        """
        started = datetime.fromisoformat(started_at).timestamp()
        for elapsed_s, wall in self._heard:
            if started + elapsed_s > opened_wall:
                self._recorder.took(DELIVERY, max(0.0, wall - started - elapsed_s))

    def _take(self, result: dict[str, Any], at: float) -> None:
        index = result["index"]
        if not 0 <= index < len(self._students) or index in self._seen:
            self._recorder.failed(ITEM, "a result that was not asked for, or came before")
            return
        self._seen.add(index)
        if result["id_alumno"] != self._students[index]:
            self._recorder.failed(ITEM, "the result of another student")
        elif result["status"] != "ok":
            self._recorder.failed(ITEM, str(result["error"]["code"]), at - self._since)
        else:
            self._recorder.took(ITEM, at - self._since)

    def _end(self, data: dict[str, Any], at: float) -> None:
        self.ended = True
        missing = len(self._students) - len(self._seen)
        if data["status"] != "completed":
            self._recorder.failed(JOB, f"the job was {data['status']}", at - self._since)
        elif missing:
            self._recorder.failed(JOB, "the job ended with items missing", at - self._since)
        else:
            self._recorder.took(JOB, at - self._since)
