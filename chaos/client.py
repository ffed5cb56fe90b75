"""One user of the service: posts a job, follows it with several subscribers, and keeps what they received."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2

from avalua_client import AvaluaClient, AvaluaError, Batch, Retry
from chaos.progress import Progress
from chaos.subscriber import RETRY_S, Subscriber
from chaos.verdict import check_agreement, check_results, check_subscriber, check_whole
from chaos.workload import JobPlan

CALL_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 30.0
"""On a stream, longer than the pause between two comments."""
MAX_START_S = 1.0
AWAY = (429, 503)
RETRY = Retry(first_s=0.05, max_s=0.5)


@asynccontextmanager
async def open_session() -> AsyncIterator[httpx2.AsyncClient]:
    """For streams, too: no deadline for the whole answer, but one for silence."""
    timeout = httpx2.Timeout(CALL_TIMEOUT_S, read=SILENCE_TIMEOUT_S)
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as session:
        yield session


class RefusedError(Exception):
    """The service answered what it must not; its text says what."""


class JobClient:
    """Owns one job."""

    def __init__(
        self,
        plan: JobPlan,
        urls: Sequence[str],
        session: httpx2.AsyncClient,
        progress: Progress,
        rng: random.Random,
    ) -> None:
        """``urls``: of the processes that serve HTTP. Every call goes to any of them."""
        self.plan = plan
        self.subscribers: list[Subscriber] = []
        self.job_id = ""
        self._urls = urls
        self._session = session
        self._progress = progress
        self._rng = rng
        self._problems: list[str] = []
        self._results: dict[str, Any] = {}
        self._by_client: list[dict[str, Any]] = []
        self._status: dict[str, Any] = {}
        self._finished = False

    @property
    def drops(self) -> int:
        return sum(subscriber.drops for subscriber in self.subscribers)

    async def run(self) -> None:
        """Return once every subscriber has heard the job's end. The caller has a deadline."""
        await asyncio.sleep(self._rng.uniform(0.0, MAX_START_S))
        try:
            await self._follow()
        except RefusedError as error:
            self._problems.append(str(error))

    async def _follow(self) -> None:
        self.job_id = await self._submit()
        first = [self._subscriber("steady"), self._subscriber("drops", drops=True)]
        late = self._subscriber("late", drops=True)
        await asyncio.gather(
            *(each.listen() for each in first), self._come_late(late), self._use_the_client()
        )
        # One more who reads it all when it is over, and the same as one answer.
        await self._subscriber("replay").listen()
        self._results = await self._everywhere(f"/results/{self.job_id}")
        self._status = await self._everywhere(f"/status/{self.job_id}")
        if (again := await self._submit()) != self.job_id:
            self._problems.append(f"the same Idempotency-Key gave another job, {again}")
        self._finished = True

    def violations(self) -> list[str]:
        """All that clients received and should not have, or the other way round."""
        found = list(self._problems)
        reference = max((subscriber.events for subscriber in self.subscribers), key=len, default=[])
        for each in self.subscribers:
            wrong = [*each.problems, *check_subscriber(each.events, reference)]
            found += [f"subscriber {each.name!r}: {text}" for text in wrong]
            if self._finished:
                whole = check_whole(each.events, self.plan)
                found += [f"subscriber {each.name!r}: {text}" for text in whole]
        if not self._finished and not self._problems:
            known = f"{len(reference)} events were heard" if self.job_id else "it was not even accepted"
            found.append(f"it did not end in time, {known}")
        elif self._finished:
            by_client = check_results(self._by_client, self.plan)
            found += [f"the client: {text}" for text in by_client]
            results = self._results["results"]
            found += [f"/results: {text}" for text in check_results(results, self.plan)]
            if [result["index"] for result in results] != sorted(result["index"] for result in results):
                found.append("/results is not in item order")
            said = (
                self._status["status"],
                self._status["progress"]["completed"],
                self._status["failed_items"],
            )
            if said != ("completed", len(self.plan.items), self.plan.failures):
                found.append(f"/status says {said}")
        return [f"job {self.plan.name} ({self.job_id}): {text}" for text in found]

    async def cancel(self) -> None:
        """Get rid of a job that did not end."""
        if self.job_id and not self._finished:
            with suppress(RefusedError):
                await self._call("POST", f"/cancel/{self.job_id}")

    async def _use_the_client(self) -> None:
        """One more follows it as users do, by the client that mends streams itself."""
        try:
            async with AvaluaClient(self._rng.choice(self._urls), retry=RETRY) as client:
                async for event in client.stream(self.job_id):
                    if isinstance(event, Batch):
                        self._by_client += [dict(result.raw) for result in event.results]
        except AvaluaError as error:
            self._problems.append(f"the client: {error}")

    async def _come_late(self, subscriber: Subscriber) -> None:
        await self._progress.reached(self._rng.uniform(0.1, 0.8))
        await subscriber.listen()

    def _subscriber(self, name: str, *, drops: bool = False) -> Subscriber:
        subscriber = Subscriber(
            name,
            [f"{url}/stream/{self.job_id}" for url in self._urls],
            self._session,
            heard=lambda completed: self._progress.heard(self.plan.name, completed),
            rng=random.Random(self._rng.random()),  # noqa: S311
            drops=drops,
        )
        self.subscribers.append(subscriber)
        return subscriber

    async def _submit(self) -> str:
        """Post until an answer arrives: the key makes that one job, however often the answer was lost."""
        body = {"items": list(self.plan.items), "priority": self.plan.priority}
        key = f"{self.plan.name}-{self.plan.expected[0].id_alumno}"
        answer = await self._call("POST", "/evaluate", json=body, headers={"Idempotency-Key": key})
        return str(answer["job_id"])

    async def _everywhere(self, path: str) -> Any:
        """The answer of every process, which must be the same."""
        answers = {url: await self._call("GET", path, url) for url in self._urls}
        self._problems += check_agreement(path, answers)
        return answers[self._urls[0]]

    async def _call(self, method: str, path: str, url: str = "", **options: Any) -> Any:
        """The answer of the process at ``url``, or of whichever gives one; the caller has a deadline.

        Raises RefusedError.
        """
        while True:
            base = url or self._rng.choice(self._urls)
            try:
                answer = await self._session.request(method, base + path, timeout=CALL_TIMEOUT_S, **options)
            except httpx2.TransportError:
                pass  # the service is away
            else:
                if answer.status_code not in AWAY:
                    if answer.is_error:
                        raise RefusedError(f"{method} {path} answered {answer.status_code}")
                    return answer.json()
            await asyncio.sleep(RETRY_S)
