"""One reader of a job's events, as a browser's EventSource is one: it drops, returns, and goes on."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import aiohttp

RETRY_S = 0.1
OK, NO_CONTENT = 200, 204
FINAL_ERRORS = (400, 404, 410)


class Subscriber:
    """Reads until the final event was heard and the server has said that there is no more."""

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        session: aiohttp.ClientSession,
        *,
        heard: Callable[[int], None],
        rng: random.Random,
        drops: bool = False,
    ) -> None:
        """``urls``: of the job's stream, at each process that serves it. A connection goes to any of them.

        ``heard`` is told how many results are known. With ``drops`` it drops the connection at will.
        """
        self.name = name
        self.events: list[tuple[int, bytes]] = []
        self.problems: list[str] = []
        self.drops = 0
        self._urls = urls
        self._session = session
        self._tell = heard
        self._rng = rng
        self._drops = drops
        self._ended = False

    @property
    def last(self) -> int:
        """The id of the newest event; 0 before the first."""
        return self.events[-1][0] if self.events else 0

    async def listen(self) -> None:
        """Return when there is no more to hear. The caller has a deadline."""
        while not self._ended:
            try:
                await self._connect()
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                # The service is away; a client can only come back later.
                await asyncio.sleep(RETRY_S)

    async def _connect(self) -> None:
        headers, query = {}, {}
        if self.last and self._rng.random() < 0.5:
            query["last_event_id"] = str(self.last)
        elif self.last:
            headers["Last-Event-ID"] = str(self.last)
        final = bool(self.events) and is_final(self.events[-1][1])
        url = self._rng.choice(self._urls)
        async with self._session.get(url, headers=headers, params=query) as answer:
            if answer.status == NO_CONTENT:
                self._ended = True
                if not final:
                    self.problems.append(f"204 after event {self.last}, which is not the final one")
            elif answer.status in FINAL_ERRORS:
                self._ended = True
                self.problems.append(f"HTTP {answer.status} after event {self.last}")
            elif answer.status != OK:
                await asyncio.sleep(RETRY_S)
            else:
                await self._read(answer)

    async def _read(self, answer: aiohttp.ClientResponse) -> None:
        drop_after = self._rng.randint(1, 4) if self._drops else None
        count = 0
        async with aclosing(messages(answer.content)) as incoming:
            async for event_id, data in incoming:
                if json.loads(data)["event"] == "error":
                    self._ended = True
                    self.problems.append(f"after event {self.last}: {data.decode()}")
                    return
                self.events.append((event_id, data))
                self._tell(json.loads(data)["data"].get("progress", {}).get("completed", 0))
                count += 1
                if count == drop_after:
                    self.drops += 1
                    answer.close()
                    await asyncio.sleep(self._rng.uniform(0.0, 0.3))
                    return


async def messages(content: aiohttp.StreamReader) -> AsyncGenerator[tuple[int, bytes]]:
    """Id and data of each whole message; one that was cut off before its blank line does not count."""
    event_id, data = 0, b""
    async for line in content:
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if field == b"id":
            event_id = int(value)
        elif field == b"data":
            data += value
        elif not line.strip() and data:
            yield event_id, data
            data = b""


def is_final(data: bytes) -> bool:
    return bool(json.loads(data)["event"] == "complete")
