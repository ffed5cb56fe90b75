"""Items of any number, as one job or several, joined again by place; to be gone on with after an end."""

from __future__ import annotations

import uuid
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from avalua_client.client import AvaluaClient
from avalua_client.errors import (
    ApiError,
    AvaluaError,
    IncompleteError,
    JobExpiredError,
    JobNotFoundError,
    ProtocolError,
)
from avalua_client.models import Batch, Result
from avalua_client.state import JobRecord, State

MAX_ITEMS = 2000
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Below what a service takes unless it is set otherwise; one that takes less says so."""
ENVELOPE_BYTES = 256
JOBS_AT_ONCE = 2
"""The second one waits at the service while the first is marked, so that it never idles."""
TOO_LARGE = 413
NOT_TAKEN = frozenset({409, 413, 422})


@dataclass
class _Part:
    """A job that was taken, and the place of each of its items; None for one that is no longer wanted."""

    job_id: str
    places: Sequence[int | None]
    record: JobRecord
    resumed: bool = False


@dataclass
class Evaluation:
    """Use ``run`` once; ``results`` fills up meanwhile, by place.

    ``state``, where there is one, is told of every job before it is sent; what it knows from before is gone
    on with, wherever the same text now stands.
    """

    client: AvaluaClient
    items: Sequence[bytes] = field(repr=False)
    priority: str | None = None
    state: State | None = None
    max_items: int = MAX_ITEMS
    max_body_bytes: int = MAX_BODY_BYTES
    on_job: Callable[[str, int], None] | None = None
    """Told of each job's id, and of how many items it has."""
    results: dict[int, Result] = field(default_factory=dict, repr=False)
    job_ids: list[str] = field(default_factory=list)
    ended_early: str = ""
    """How a job ended that left texts without a result: ``cancelled`` or ``failed``."""

    async def run(self) -> AsyncGenerator[Batch, None]:
        """Batches as they come, each result under its place in ``items``."""
        waiting: deque[_Part] = deque()
        left = await self._resume(waiting)
        while waiting or left:
            while left and len(waiting) < JOBS_AT_ONCE:
                if (submitted := await self._submit(left)) is not None:
                    waiting.append(submitted)
            if not waiting:
                return
            part = waiting.popleft()
            status = "expired"
            try:
                async with aclosing(self.client.stream(part.job_id)) as events:
                    async for event in events:
                        if isinstance(event, Batch):
                            yield self._take(part, event)
                        else:
                            status = event.status
            except (JobNotFoundError, JobExpiredError):
                if not part.resumed:
                    raise
            if status != "completed" and part.resumed:
                left.extend(self._forget(part))  # nothing more will come of it: those are marked again
            elif status != "completed":
                self.ended_early = status

    def all_results(self) -> list[Result]:
        """A result for each item, in order. Raises IncompleteError."""
        if len(self.results) < len(self.items):
            missing = len(self.items) - len(self.results)
            raise IncompleteError(
                f"{missing} of {len(self.items)} texts have no result, since their job was "
                f"{self.ended_early or 'cut off'}; see `results` of {', '.join(self.job_ids)}."
            )
        return [self.results[place] for place in range(len(self.items))]

    def _take(self, part: _Part, batch: Batch) -> Batch:
        moved = []
        for result in batch.results:
            if not 0 <= result.index < len(part.places):
                raise ProtocolError(f"Job {part.job_id} has a result for a text that it was not sent.")
            place = part.places[result.index]
            if place is not None and place not in self.results:
                self.results[place] = result.moved(place)
                moved.append(self.results[place])
        return Batch(batch.number, tuple(moved), batch.progress)

    def _forget(self, part: _Part) -> list[int]:
        """The places of a job that have no result, which nobody shall look for there again."""
        indexes = [
            index
            for index, place in enumerate(part.places)
            if place is not None and place not in self.results
        ]
        if self.state is not None:
            self.state.forget(part.record, indexes)
        return [place for index in indexes if (place := part.places[index]) is not None]

    async def _submit(self, left: deque[int]) -> _Part | None:
        """One more job from the beginning of ``left``, of as many items as the service takes.

        None where it takes none of them.
        """
        while True:
            places = self._next(left)
            record = JobRecord(str(uuid.uuid4()), None, self._hashes(places))
            if self.state is not None:
                self.state.add(record)
            try:
                job_id = await self._send(record, places)
            except ApiError as error:
                if self.state is not None:
                    self.state.remove(record)
                if error.status == TOO_LARGE and self._shrink(error, len(places)):
                    continue
                if self._set_apart(error, places, left):
                    if left:
                        continue
                    return None
                raise self._placed(error, places[0]) from None
            for _ in places:
                left.popleft()
            return _Part(job_id, places, record)

    async def _send(self, record: JobRecord, places: Sequence[int]) -> str:
        job = await self.client.submit_encoded(
            [self.items[place] for place in places], self.priority, record.key
        )
        self._has(job.job_id, len(places))
        if self.state is not None:
            self.state.confirm(record, job.job_id)
        return job.job_id

    def _has(self, job_id: str, count: int) -> None:
        self.job_ids.append(job_id)
        if self.on_job is not None:
            self.on_job(job_id, count)

    def _next(self, left: deque[int]) -> list[int]:
        places: list[int] = []
        size = ENVELOPE_BYTES
        for place in left:
            size += len(self.items[place]) + 1
            if places and (len(places) == self.max_items or size > self.max_body_bytes):
                break
            places.append(place)
        return places

    def _shrink(self, error: ApiError, count: int) -> bool:
        """Take the service's own limit, or half of what it did not take; False where one item is too much."""
        if count == 1:
            return False
        items, size = error.details.get("max_items"), error.details.get("max_bytes")
        if isinstance(items, int) and 0 < items < count:
            self.max_items = items
        elif isinstance(size, int) and 0 < size < self.max_body_bytes:
            self.max_body_bytes = size
        else:
            self.max_items = count // 2
        return True

    def _set_apart(self, error: ApiError, places: Sequence[int], left: deque[int]) -> bool:
        """Items that the service can't take fail alone, with its reason; whether it named any."""
        problems = error.details.get("problems") if error.code == "invalid_items" else None
        reasons: dict[int, str] = {}
        for problem in problems if isinstance(problems, list) else ():
            index = problem.get("index") if isinstance(problem, dict) else None
            if not isinstance(index, int) or not 0 <= index < len(places):
                return False
            reasons.setdefault(places[index], f"{problem.get('field') or 'it'} {problem.get('message')}.")
        for place, reason in reasons.items():
            left.remove(place)
            self.results[place] = Result.from_json({
                "index": place, "id_alumno": "", "nota": None, "feedback": None, "status": "failed",
                "error": {"code": error.code, "message": reason}, "flags": [], "attempts": 0,
            })  # fmt: skip
        return bool(reasons)

    def _placed(self, error: ApiError, first: int) -> AvaluaError:
        """The index in a refusal counts from the beginning of its job: say where that is."""
        if first == 0 or error.code != "invalid_items":
            return error
        return ApiError(error.status, error.code, f"From item {first} on, {error.message}", error.details)

    def _hashes(self, places: Sequence[int]) -> list[str]:
        return [] if self.state is None else [self.state.hash(self.items[place]) for place in places]

    async def _resume(self, waiting: deque[_Part]) -> deque[int]:
        """The jobs that are known from before, by what their items hold; the places that no job has."""
        if self.state is None or not self.state.jobs:
            return deque(range(len(self.items)))
        by_hash: dict[str, deque[int]] = defaultdict(deque)
        for place, item in enumerate(self.items):
            by_hash[self.state.hash(item)].append(place)
        for record in list(self.state.jobs):
            places = [by_hash[one].popleft() if by_hash.get(one) else None for one in record.hashes]
            known = [place for place in places if place is not None]
            if record.job_id is None and len(known) == len(places):
                # It may have been taken, and its answer lost: the key makes it one job.
                try:
                    job_id = await self._send(record, known)
                except ApiError as error:
                    if error.status not in NOT_TAKEN:
                        raise
                    self.state.remove(record)  # it was not: they are sent with the others
                    for place in known:
                        by_hash[self.state.hash(self.items[place])].append(place)
                    continue
                waiting.append(_Part(job_id, places, record, resumed=True))
            elif record.job_id is None:
                self.state.remove(record)
                for place in known:
                    by_hash[self.state.hash(self.items[place])].append(place)
            else:
                self._has(record.job_id, len(places))
                waiting.append(_Part(record.job_id, places, record, resumed=True))
        return deque(sorted(place for places_left in by_hash.values() for place in places_left))
