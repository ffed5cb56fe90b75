"""The client for asyncio."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import httpx2

from avalua_client.connection import AWAY, BUSY, Connection, decoded, not_avalua, read_error
from avalua_client.errors import (
    AvaluaError,
    ConfigurationError,
    JobExpiredError,
    ProtocolError,
    StalledError,
)
from avalua_client.models import Batch, End, Item, Job, Progress, Result, Status
from avalua_client.retrying import Backoff, Retry

OK, NO_CONTENT = 200, 204
MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A batch holds ten results by default; a service may be set to larger ones."""
MAX_HOLES = 5
"""So often in a row a stream may go on at the wrong place before that is called an error."""
UTF8 = "utf-8-sig"
"""A byte order mark at a stream's beginning is no part of its first line."""
JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

ItemLike = Item | Mapping[str, Any]


class Position:
    """Where a subscriber is in a job's events."""

    def __init__(self, after: int) -> None:
        """``after``: the number of the last event that is known."""
        self.last = after
        self.moved = time.monotonic()
        self._from_start = after == 0
        self._holes = 0
        self._seen: set[int] = set()

    def take(self, event: Batch | End) -> None:
        """The next event. Raises ProtocolError where a text has a second result, or has none in the end."""
        self.last += 1
        self.moved, self._holes = time.monotonic(), 0
        if isinstance(event, End):
            if self._from_start and event.total_processed != len(self._seen):
                raise ProtocolError(
                    f"The job has {event.total_processed} results, and {len(self._seen)} came: "
                    "ask for them as a whole."
                )
            return
        for result in event.results:
            if result.index in self._seen:
                raise ProtocolError(f"Text {result.index} of the job came twice: it can't be trusted.")
            self._seen.add(result.index)

    def missing(self) -> str:
        """Why a stream that passed over the next event is no use. Raises ProtocolError if it stays so."""
        self._holes += 1
        why = f"batch {self.last + 1} is missing"
        if self._holes > MAX_HOLES:
            raise ProtocolError(f"The stream goes on, but {why}: ask for the results as a whole.")
        return why


@dataclass
class Trouble:
    """Why a connection brought no more, and what the service says of when to come back."""

    why: Exception | str
    retry_after: str | None = None
    full: bool = False


class AvaluaClient:
    """One service. Use as an async context manager; not for more than one event loop.

    Every call waits while the service is away, as ``retry`` says, and raises an ``AvaluaError`` in the end.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 120.0,
        silence_s: float = 60.0,
        stall_s: float = 3600.0,
        retry: Retry | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        """``timeout_s``: for an answer. ``silence_s``: for a stream on which nothing arrives, after which it
        is opened again. ``stall_s``: for a job of which nothing new is heard, although the service is there.
        ``on_wait`` is told in a sentence whenever something has to be tried again.

        Raises ConfigurationError.
        """
        self._connection = Connection(
            url, api_key, timeout_s=timeout_s, silence_s=silence_s, retry=retry or Retry(), on_wait=on_wait
        )
        self._stall_s = stall_s

    @property
    def url(self) -> str:
        return self._connection.url

    async def __aenter__(self) -> AvaluaClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. Jobs go on."""
        await self._connection.close()

    async def submit(
        self, items: Iterable[ItemLike], *, priority: str | None = None, idempotency_key: str | None = None
    ) -> Job:
        """Send one job, which is durable once this returns.

        A lost answer is asked for again with the same ``idempotency_key``, so that it stays one job; without
        one given it is random, and a second call is a second job. Raises ApiError (413: too many items for
        one job, see ``evaluate``).
        """
        return await self.submit_encoded([encoded(item) for item in items], priority, idempotency_key)

    async def submit_encoded(
        self, items: Sequence[bytes], priority: str | None = None, idempotency_key: str | None = None
    ) -> Job:
        """The same for items that are JSON already."""
        ending = b"]" if priority is None else b'],"priority":' + json.dumps(priority).encode()
        body = b'{"items":[' + b",".join(items) + ending + b"}"
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        answer = await self._connection.call(
            "POST", "/evaluate", content=body, headers=headers, accept=frozenset({202})
        )
        return Job.from_json(decoded(answer, self.url))

    async def status(self, job_id: str) -> Status:
        """How far a job is. Raises JobNotFoundError, JobExpiredError."""
        return Status.from_json(await self._get(f"/status/{_checked(job_id)}"))

    async def results(self, job_id: str) -> list[Result]:
        """What is finished of a job so far, in the order of its items."""
        answer = await self._get(f"/results/{_checked(job_id)}?format=json")
        try:
            return [Result.from_json(result) for result in answer["results"]]
        except (LookupError, TypeError):
            raise ProtocolError(
                f"{self.url} does not answer as Avalua does: is it the right address?"
            ) from None

    async def export(self, job_id: str, form: str, *, locale: str | None = None) -> bytes:
        """The results as a file that the service makes: json, csv, xlsx or ndjson."""
        query = {"format": form, **({"locale": locale} if locale else {})}
        answer = await self._connection.call(
            "GET", f"/results/{_checked(job_id)}?{httpx2.QueryParams(query)}", accept=frozenset({OK})
        )
        return bytes(answer.content)

    async def cancel(self, job_id: str) -> Status:
        """End a job; what is finished stays readable."""
        answer = await self._connection.call("POST", f"/cancel/{_checked(job_id)}", accept=frozenset({202}))
        return Status.from_json(decoded(answer, self.url))

    async def health(self) -> dict[str, Any]:
        """What the service says of itself, healthy or not. Tried once. Raises UnavailableError."""
        accept = frozenset({OK, 503})
        answer = decoded(await self._connection.call("GET", "/health", accept=accept, repeat=False), self.url)
        if not isinstance(answer, dict) or "status" not in answer:
            raise not_avalua(self.url)
        return answer

    async def stream(self, job_id: str, *, after: int = 0) -> AsyncGenerator[Batch | End, None]:
        """Each batch once and in order, and then the end, however often the connection is lost.

        ``after`` is the number of the last batch that is known already. Raises JobNotFoundError,
        JobExpiredError, StalledError, ProtocolError where batches are missing, UnavailableError.
        """
        backoff, position = Backoff(self._connection.retry), Position(after)
        _checked(job_id)
        while True:
            trouble = Trouble("the stream was cut")
            try:
                async with aclosing(self._connected(job_id, position, trouble)) as events:
                    async for event in events:
                        backoff.reset()
                        yield event
                        if isinstance(event, End):
                            return
            except httpx2.TransportError as error:
                if _is_another_service(error):
                    raise not_avalua(self.url) from None
                trouble = Trouble(str(error) or type(error).__name__)
            wait_s = backoff.next_wait_s(trouble.retry_after, full=trouble.full)
            if wait_s is not None:
                await self._connection.wait(trouble.why, wait_s)
                continue
            # Perhaps it is only streams that don't get through.
            if not await self._alive():
                raise self._connection.given_up(trouble.why)
            if time.monotonic() - position.moved > self._stall_s:
                raise self._stalled()
            backoff.reset()

    async def evaluate(self, items: Iterable[ItemLike], *, priority: str | None = None) -> list[Result]:
        """Send all items, wait, and return a result for each, in their order. Of any number.

        More than the service takes at once become several jobs. Raises IncompleteError where one ended early.
        """
        from avalua_client.evaluation import Evaluation  # noqa: PLC0415  it needs this module

        evaluation = Evaluation(self, [encoded(item) for item in items], priority=priority)
        async with aclosing(evaluation.run()) as updates:
            async for _ in updates:
                pass
        return evaluation.all_results()

    async def evaluate_file(self, source: str | Path, target: str | Path, **options: Any) -> Any:
        """Mark the texts of a CSV, XLSX, JSON or NDJSON file into another; see ``files.evaluate_file``."""
        from avalua_client.files import evaluate_file  # noqa: PLC0415  it needs this module

        return await evaluate_file(self, Path(source), Path(target), **options)

    async def _connected(
        self, job_id: str, position: Position, trouble: Trouble
    ) -> AsyncGenerator[Batch | End, None]:
        """What one connection brings that is new. ``trouble`` is told why it brought no more.

        Raises httpx2.TransportError where it broke, and what can't be mended.
        """
        async with self._connection.stream(f"/stream/{job_id}", _resume_headers(position.last)) as answer:
            if answer.status_code == NO_CONTENT:
                yield await self._ended(job_id)
            elif answer.status_code != OK:
                trouble.why = await read_error(answer, self.url)
                if answer.status_code not in AWAY:
                    raise trouble.why
                trouble.retry_after = answer.headers.get("retry-after")
                trouble.full = answer.status_code == BUSY
            else:
                async with aclosing(self._events(answer)) as events:
                    async for number, event in events:
                        if number > position.last + 1:
                            trouble.why = position.missing()
                            return
                        if number == position.last + 1:  # else a proxy brought it twice
                            position.take(event)
                            yield event

    async def _events(self, answer: httpx2.Response) -> AsyncGenerator[tuple[int, Batch | End], None]:
        """Events of one connection, until it ends; a half one at its end is none."""
        answer.encoding = UTF8
        messages: AsyncIterator[httpx2.ServerSentEvent] = aiter(httpx2.EventSource(answer, MAX_EVENT_BYTES))
        while True:
            message: httpx2.ServerSentEvent | None = None
            with anyio.move_on_after(self._stall_s) as waiting:
                message = await anext(messages, None)
            if waiting.cancelled_caught:
                raise self._stalled()
            if message is None:
                return
            if message.data and (event := _event(message)) is not None:
                yield event

    def _stalled(self) -> StalledError:
        return StalledError(
            f"The service is there, but the job has had no new result for {self._stall_s / 60:.0f} minutes: "
            "look at its health, and ask for the results later."
        )

    async def _ended(self, job_id: str) -> End:
        """The end of a job whose stream has no more to say."""
        status = await self.status(job_id)
        if not status.ended:
            raise ProtocolError(f"Job {job_id} goes on, but its stream says that it has ended.")
        done = status.progress
        return End(status.status, done.completed, status.failed_items, done.elapsed_s)

    async def _alive(self) -> bool:
        try:
            return bool(await self.health())
        except AvaluaError:
            return False

    async def _get(self, path: str) -> Any:
        return decoded(await self._connection.call("GET", path, accept=frozenset({OK})), self.url)


def encoded(item: ItemLike) -> bytes:
    """An item as JSON. Raises ConfigurationError where it can't be written as such."""
    try:
        raw = item.as_json() if isinstance(item, Item) else dict(item)
        text = json.dumps(raw, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"An item can't be sent: {error}.") from None
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character, which only an escape can carry
        return json.dumps(raw, separators=(",", ":")).encode()


def _event(message: httpx2.ServerSentEvent) -> tuple[int, Batch | End] | None:
    """One event under its number; None for one that is newer than this client, or cut off."""
    try:
        envelope = json.loads(message.data)
        kind, data = envelope["event"], envelope["data"]
        if kind == "error":
            raise JobExpiredError(410, str(data["code"]), str(data["error"]))
        if kind not in ("batch_complete", "complete"):
            return None
        number = int(message.id)
        if kind == "complete":
            end = End(
                str(data["status"]),
                int(data["total_processed"]),
                int(data["failed_items"]),
                float(data["total_time_seconds"]),
            )
            return number, end
        results = tuple(Result.from_json(result) for result in data["results"])
        return number, Batch(int(data["batch_number"]), results, Progress.from_json(data["progress"]))
    except (LookupError, TypeError, ValueError):
        # Cut in the middle of its line: what is missing comes with the next connection.
        raise httpx2.RemoteProtocolError("an event arrived in parts") from None


def _resume_headers(last: int) -> dict[str, str]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    return {**headers, "Last-Event-ID": str(last)} if last else headers


def _is_another_service(error: httpx2.TransportError) -> bool:
    return isinstance(error, httpx2.SSEError) and "content type" in str(error)


def _checked(job_id: str) -> str:
    if not JOB_ID.fullmatch(job_id):
        raise ConfigurationError("A job's id looks like 0f8fad5b-d9cb-469f-a165-70867728950e.")
    return job_id
