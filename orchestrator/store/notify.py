"""Hints that something has changed. One may get lost, so who waits for it looks by itself at times, too."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.errors import StoreUnavailableError
from orchestrator.store.database import Database

CHANNEL = "avalua"
WORK = "work"
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 5.0
MAX_JOBS = 10_000
"""Of which hints wait to be taken; beyond, who waits has to look for itself."""
_NOTIFY = text("SELECT pg_notify(:channel, payload) FROM unnest(CAST(:payloads AS text[])) AS payload")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class JobHint:
    """A job has events up to this number; with `terminal` there will be no more."""

    id: str
    last_event: int
    terminal: bool


class Hints:
    """Told by who writes; taken by the broker (jobs) and by who claims (work), each by one task."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs: dict[str, JobHint] = {}
        self._jobs_told = asyncio.Event()
        self._work_told = asyncio.Event()

    async def jobs(self, timeout_s: float) -> list[JobHint]:
        """The newest hint of each job of which there was one since the last call; none after that time."""
        await _wait(self._jobs_told, timeout_s)
        hints, self._jobs = list(self._jobs.values()), {}
        return hints

    async def work(self, timeout_s: float) -> None:
        """Returns when there may be something to do for a worker, or after that time."""
        await _wait(self._work_told, timeout_s)

    def told(self, hints: Iterable[JobHint] = (), *, work: bool = False) -> None:
        """Something was committed that those of this process may want to know."""
        for hint in hints:
            if len(self._jobs) < MAX_JOBS or hint.id in self._jobs:
                self._jobs[hint.id] = hint
                self._jobs_told.set()
        if work:
            self._work_told.set()

    async def tell_in(
        self, connection: AsyncConnection, hints: Iterable[JobHint] = (), *, work: bool = False
    ) -> None:
        """The same for other processes, which hear of it when the transaction is committed."""
        if self._database.sqlite:
            return
        payloads = [f"{hint.id} {hint.last_event} {int(hint.terminal)}" for hint in hints]
        if work:
            payloads.append(WORK)
        if payloads:
            await connection.execute(_NOTIFY, {"channel": CHANNEL, "payloads": payloads})

    async def run(self) -> None:
        """Listens to other processes for as long as the service runs."""
        if self._database.sqlite:
            await asyncio.Event().wait()  # there are none
        pause_s = RETRY_FIRST_S
        while True:
            began = time.monotonic()
            try:
                await self._database.listen(CHANNEL, self._heard, self._listening)
            except StoreUnavailableError as error:
                log.warning("listening_broken", reason=str(error))
            if time.monotonic() - began > RETRY_MAX_S:  # it had worked
                pause_s = RETRY_FIRST_S
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311  spreads the processes
            pause_s = min(2 * pause_s, RETRY_MAX_S)

    def _listening(self) -> None:
        self.told(work=True)  # what was told meanwhile is lost

    def _heard(self, *arguments: Any) -> None:
        payload = str(arguments[-1])
        if payload == WORK:
            self.told(work=True)
            return
        job_id, _, rest = payload.partition(" ")
        number, _, terminal = rest.partition(" ")
        if number.isdigit():
            self.told([JobHint(job_id, int(number), terminal == "1")])


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
