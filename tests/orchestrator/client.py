"""A client as others would write one: plain HTTP and server-sent events, nothing from the service."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

WAIT_S = 150.0  # a Triton may take half a minute to start where many tests run at once


@dataclass
class Heard:
    """What one subscriber heard: event ids and envelopes, comments, and the answer's status."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ids: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    retry: int | None = None

    @property
    def results(self) -> list[dict[str, Any]]:
        return [result for event in self.events for result in event["data"].get("results", [])]

    @property
    def final(self) -> dict[str, Any]:
        assert [event["event"] for event in self.events].count("complete") == 1
        assert self.events[-1]["event"] == "complete"
        data: dict[str, Any] = self.events[-1]["data"]
        return data


def make_items(count: int, text: str = "") -> list[dict[str, str]]:
    """Items whose first word is the student's own, which the scripted model repeats in its feedback."""
    return [
        {
            "id_alumno": f"A{i}",
            "curso": "3r ESO",
            "consigna": "Explica la pluja.",
            "respuesta": f"Mot{i} {text}",
        }
        for i in range(count)
    ]


class Client:
    """One user of a running service."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self.session = session

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any, dict[str, str]]:
        """Status, body (JSON decoded, else text) and headers."""
        if "data" in options:
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        async with self.session.request(method, self.base + path, **options) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(text) if is_json else text, dict(answer.headers)

    async def submit(self, items: list[dict[str, Any]], *, key: str | None = None, **more: Any) -> str:
        headers = {"Idempotency-Key": key} if key else {}
        status, body, _ = await self.call("POST", "/evaluate", json={"items": items, **more}, headers=headers)
        assert status == 202, body
        job_id: str = body["job_id"]
        return job_id

    @asynccontextmanager
    async def open_stream(self, job_id: str, after: int | None = None) -> AsyncIterator[AsyncIterator[Heard]]:
        """Gives the same Heard again after each message."""
        headers = {"Last-Event-ID": str(after)} if after is not None else {}
        async with self.session.get(f"{self.base}/stream/{job_id}", headers=headers) as answer:
            yield self._messages(answer)

    async def stream(self, job_id: str, after: int | None = None, events: int | None = None) -> Heard:
        """Everything until the server closes, or the first few events."""
        heard = Heard()
        async with self.open_stream(job_id, after) as messages:
            async for heard in messages:
                if events is not None and len(heard.events) >= events:
                    break
        return heard

    async def _messages(self, answer: aiohttp.ClientResponse) -> AsyncIterator[Heard]:
        heard = Heard(answer.status, dict(answer.headers))
        event_id = 0
        yield heard
        async for raw in answer.content:
            line = raw.decode().rstrip("\n").rstrip("\r")
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                heard.comments.append(line)
            elif name == "id":
                event_id = int(value)
            elif name == "retry":
                heard.retry = int(value)
            elif name == "data":
                heard.ids.append(event_id)
                heard.events.append(json.loads(value))
            else:
                assert line == "", f"unexpected field {name}"
                continue
            yield heard
