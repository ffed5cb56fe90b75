"""A client of the running service: posts items, follows the job's events, joins the results."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import aiohttp

from demo_model.agreement import Graded
from demo_model.dataset import Item

MAX_JOB_ITEMS: Final = 2000
"""The most items that the service takes in one job."""

_RECONNECTIONS: Final = 5
_SILENCE_S: Final = 60.0  # the service sends a comment every 15 s, so a longer silence is a dead connection


class ServiceError(Exception):
    """The service refused the items, or ended a job without its final event."""


async def grade(session: aiohttp.ClientSession, url: str, items: Sequence[Item]) -> list[Graded]:
    """Have the service at `url` mark `items`; return what it says of each, in the same order."""
    graded: list[Graded] = []
    for start in range(0, len(items), MAX_JOB_ITEMS):
        graded.extend(await _grade_job(session, url, items[start : start + MAX_JOB_ITEMS]))
    return graded


async def _grade_job(session: aiohttp.ClientSession, url: str, items: Sequence[Item]) -> list[Graded]:
    body = {"items": [item.request() for item in items]}
    async with session.post(f"{url}/evaluate", json=body) as answer:
        if answer.status != 202:
            raise ServiceError(f"POST /evaluate: {answer.status} {await answer.text()}")
        job = await answer.json()
    graded: list[Graded | None] = [None] * len(items)
    async for result in _results(session, url + job["stream_url"]):
        place = result["index"]
        if result["id_alumno"] != items[place].id_alumno:
            raise ServiceError(f"result {place} is {result['id_alumno']}'s, not {items[place].id_alumno}'s")
        graded[place] = Graded(result["nota"], result["feedback"])
    complete = [result for result in graded if result is not None]
    if len(complete) < len(items):
        raise ServiceError(f"the job ended with {len(complete)} results for {len(items)} items")
    return complete


async def _results(session: aiohttp.ClientSession, stream_url: str) -> AsyncIterator[dict[str, Any]]:
    """Yield each result of a job until its final event, going on from the last event seen if cut off."""
    headers: dict[str, str] = {}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
    for _ in range(_RECONNECTIONS):
        try:
            async with session.get(stream_url, headers=headers, timeout=timeout) as answer:
                answer.raise_for_status()
                async for event_id, event in _events(answer.content):
                    headers["Last-Event-ID"] = event_id
                    if event["event"] != "batch_complete":
                        return
                    for result in event["data"]["results"]:
                        yield result
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, TimeoutError):
            continue
    raise ServiceError(f"{stream_url} was cut off {_RECONNECTIONS} times")


async def _events(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield the id and the envelope of each server-sent event; comments and other fields are passed over."""
    event_id, data = "", []
    buffer = b""
    async for chunk in stream.iter_any():  # aiohttp limits the length of a line
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            field, _, value = line.rstrip(b"\r").decode().partition(":")
            if field == "id":
                event_id = value.strip()
            elif field == "data":
                data.append(value.removeprefix(" "))
            elif not field and not value and data:
                yield event_id, json.loads("\n".join(data))
                data = []
