"""An HTTP peer that does to a client what networks, proxies and half-dead servers do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

HANG = object()
"""A step after which nothing comes, until the client leaves."""
PAUSE = object()
"""A step that takes a tenth of a second."""
RESET = object()
"""A step that ends the connection at once."""
REMAINING = object()
"""A step that sends what comes behind the client's Last-Event-ID, of a job of TOTAL items."""
TOTAL = 6
JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n"
)
Step = bytes | object


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Hostile:
    """Answers each call of a path by the next of its scripts, the last one again and again."""

    def __init__(self, **scripts: Sequence[Sequence[Step]]) -> None:
        """``scripts``: by the first part of the path, such as ``stream``; what is unknown gets a 404."""
        self._scripts = {name: list(each) for name, each in scripts.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self.calls: list[Call] = []
        self.arrived = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def of(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.path.lstrip("/").startswith(name)]

    async def __aenter__(self) -> Hostile:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**26)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ")
        self.calls.append(Call(method, path, headers, body))
        self.arrived.set()
        scripts = self._scripts.get(path.strip("/").replace("?", "/").split("/")[0], [[answer(404, {})]])
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        for step in script:
            if step is HANG:
                await reader.read()
                return
            if step is PAUSE:
                await asyncio.sleep(0.1)
                continue
            if step is RESET:
                writer.transport.abort()
                return
            if step is REMAINING:
                step = b"".join(whole_job()[int(headers.get("last-event-id", 0)) :])  # noqa: PLW2901
            assert isinstance(step, bytes)
            writer.write(step)
            await writer.drain()


def answer(status: int, body: Any, **headers: str) -> bytes:
    """A whole answer in JSON, or of bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n{named}\r\n"
    return head.encode() + content


def error(status: int, code: str, **headers: str) -> bytes:
    """A refusal in the service's form."""
    return answer(status, {"error": f"It is {code}.", "code": code, "details": None}, **headers)


def result(index: int, feedback: str = "Bé.") -> dict[str, Any]:
    return {
        "index": index, "id_alumno": f"A{index}", "nota": index % 6, "feedback": feedback, "status": "ok",
        "error": None, "flags": [], "attempts": 1, "confidence": None,
    }  # fmt: skip


def batch(number: int, total: int, size: int = 2, feedback: str = "Bé.", *, prefix: str = "id: ") -> bytes:
    """The event of a batch that holds the results behind those of the batches before it."""
    first = (number - 1) * size
    progress = {
        "completed": first + size, "total": total, "percentage": 1.0, "elapsed_seconds": 1.0,
        "estimated_remaining_seconds": 1.0, "avg_time_per_item": 0.1,
    }  # fmt: skip
    results = [result(index, feedback) for index in range(first, first + size)]
    data = {"batch_number": number, "results": results, "progress": progress}
    return _event(prefix, number, {"event": "batch_complete", "data": data})


def end(number: int, total: int, status: str = "completed") -> bytes:
    """The final event."""
    data = {"total_processed": total, "total_time_seconds": 1.0, "status": status, "failed_items": 0}
    return _event("id: ", number, {"event": "complete", "data": data})


def _event(prefix: str, number: int, envelope: dict[str, Any]) -> bytes:
    return f"{prefix}{number}\ndata: {json.dumps(envelope)}\n\n".encode()


def whole_job() -> list[bytes]:
    """All events of a job of TOTAL items."""
    return [*(batch(number, TOTAL) for number in (1, 2, 3)), end(4, TOTAL)]


def status(word: str, completed: int, total: int) -> bytes:
    """The answer of GET /status."""
    progress = {
        "completed": completed, "total": total, "percentage": 1.0, "elapsed_seconds": 1.0,
        "estimated_remaining_seconds": 1.0, "avg_time_per_item": 0.1,
    }  # fmt: skip
    return answer(200, {
        "job_id": JOB, "status": word, "progress": progress, "failed_items": 0, "expires_at": None,
    })  # fmt: skip
