"""One reader of a job's events, as a browser's EventSource is one: it drops, returns, and goes on."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence

import httpx2

RETRY_S = 0.1
OK, NO_CONTENT = 200, 204
FINAL_ERRORS = (400, 404, 410)


class Subscriber:
    """Reads until the final event was heard and the server has said that there is no more."""

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        session: httpx2.AsyncClient,
        *,
        heard: Callable[[int], None],
        rng: random.Random,
        drops: bool = False,
    ) -> None:
        """``urls``: of the job's stream, at each process that serves it. A connection goes to any of them.

        ``heard`` is told how many results are known. With ``drops`` it drops the connection at will.
        """
        self.name = name
        self.events: list[tuple[int, str]] = []
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
            except httpx2.TransportError:
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
        async with self._session.stream("GET", url, headers=headers, params=query) as answer:
            if answer.status_code == NO_CONTENT:
                self._ended = True
                if not final:
                    self.problems.append(f"204 after event {self.last}, which is not the final one")
            elif answer.status_code in FINAL_ERRORS:
                self._ended = True
                self.problems.append(f"HTTP {answer.status_code} after event {self.last}")
            elif answer.status_code != OK:
                await asyncio.sleep(RETRY_S)
            else:
                await self._read(answer)

    async def _read(self, answer: httpx2.Response) -> None:
        drop_after = self._rng.randint(1, 4) if self._drops else None
        count = 0
        # By hand, and not by the client's own stream, which would mend what is to be found here.
        async for message in httpx2.EventSource(answer):
            envelope = json.loads(message.data)
            if envelope["event"] == "error":
                self._ended = True
                self.problems.append(f"after event {self.last}: {message.data}")
                return
            self.events.append((int(message.id), message.data))
            self._tell(envelope["data"].get("progress", {}).get("completed", 0))
            count += 1
            if count == drop_after:
                self.drops += 1
                break
        if count == drop_after:
            await answer.aclose()
            await asyncio.sleep(self._rng.uniform(0.0, 0.3))


def is_final(data: str) -> bool:
    return bool(json.loads(data)["event"] == "complete")
