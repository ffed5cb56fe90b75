"""A client that costs as little as possible, so that what is measured is the service.

It speaks HTTP/1.0, whose answers come without chunk headers, and looks at bytes instead of parsing JSON.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

READ_BYTES = 256 * 1024
FINAL = b'"event":"complete"'
WORDS = "La pluja mulla els carrers del poble i omple els rius que baixen de la muntanya cap al mar. " * 5


def make_items(count: int, directive: str = "") -> list[dict[str, str]]:
    """Items of about 90 words each; the scripted model repeats the first one and obeys ``directive``."""
    return [
        {
            "id_alumno": f"A{index}",
            "curso": "3r ESO",
            "consigna": "Explica la pluja.",
            "respuesta": f"Mot{index} {directive} {WORDS}",
        }
        for index in range(count)
    ]


class Client:
    """Talks to one orchestrator on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def submit(self, items: Sequence[Mapping[str, str]]) -> str:
        """Post a job and return its id."""
        answer = json.loads(
            await self._call("POST", "/evaluate", json.dumps({"items": list(items)}).encode())
        )
        job_id: str = answer["job_id"]
        return job_id

    async def follow(self, job_id: str, heard: Callable[[int, float], None] | None = None) -> None:
        """Read the job's events to the last; ``heard`` is told each one's id and the time it had arrived.

        The time is ``time.monotonic()``, which all processes of a machine share.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=READ_BYTES)
        try:
            writer.write(f"GET /stream/{job_id} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            rest, seen = b"", False
            while data := await reader.read(READ_BYTES):
                now = time.monotonic()
                *messages, rest = (rest + data).split(b"\n\n")
                for message in messages:
                    seen = seen or FINAL in message[:200]
                    if heard is not None and (start := message.find(b"id: ")) >= 0:
                        heard(int(message[start + 4 : message.index(b"\n", start)]), now)
            if not seen:
                raise RuntimeError(f"the stream of job {job_id} ended without a final event")
        finally:
            writer.close()

    async def cancel(self, job_id: str) -> None:
        await self._call("POST", f"/cancel/{job_id}")

    async def check(self, job_id: str, count: int) -> None:
        """Raises RuntimeError unless every item of the job was graded, each from its own text."""
        got = [(row["index"], row["id_alumno"], row["feedback"]) for row in await self.results(job_id)]
        if got != [(index, f"A{index}", f"Resposta: Mot{index}") for index in range(count)]:
            raise RuntimeError(f"job {job_id} has wrong results")

    async def results(self, job_id: str) -> list[dict[str, Any]]:
        """What is finished of the job, in the order of its items."""
        rows: list[dict[str, Any]] = json.loads(await self._call("GET", f"/results/{job_id}"))["results"]
        return rows

    async def metric(self, name: str) -> float:
        """One series of the service's metrics, by its name with its labels; 0 where there is none yet."""
        for line in (await self._call("GET", "/metrics")).decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    async def _call(self, method: str, path: str, body: bytes = b"") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=READ_BYTES)
        try:
            head = f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            head_, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        status = int(head_.split(b" ", 2)[1])
        if status not in (200, 202):
            raise RuntimeError(f"{method} {path} answered {status}: {answer[:300].decode(errors='replace')}")
        return answer


def deadline(seconds: float) -> Any:
    """A limit for one measurement: a service that hangs must not hang the benchmark."""
    return asyncio.timeout(seconds)
