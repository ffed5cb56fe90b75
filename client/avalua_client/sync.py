"""The same client for programs without asyncio."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from avalua_client.client import AvaluaClient, ItemLike
from avalua_client.models import Batch, End, Job, Result, Status


class SyncAvaluaClient:
    """``AvaluaClient`` for ordinary code: each call returns when it is done. Use as a context manager.

    The work is done by an event loop in a thread of its own. Arguments and exceptions are those of
    ``AvaluaClient``.
    """

    def __init__(self, url: str, api_key: str | None = None, **options: Any) -> None:
        self._client = AvaluaClient(url, api_key, **options)
        self._running: AbstractContextManager[BlockingPortal] | None = None
        self._loop: BlockingPortal | None = None

    @property
    def url(self) -> str:
        return self._client.url

    def __enter__(self) -> SyncAvaluaClient:
        self._running = start_blocking_portal()
        self._loop = self._running.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._running is not None
        try:
            self._portal.call(self._client.aclose)
        finally:
            self._loop = None
            self._running.__exit__(kind, error, trace)

    def submit(
        self, items: Iterable[ItemLike], *, priority: str | None = None, idempotency_key: str | None = None
    ) -> Job:
        """``AvaluaClient.submit``."""
        return self._portal.call(
            lambda: self._client.submit(items, priority=priority, idempotency_key=idempotency_key)
        )

    def stream(self, job_id: str, *, after: int = 0) -> Generator[Batch | End, None, None]:
        """``AvaluaClient.stream``."""
        events = self._client.stream(job_id, after=after)
        try:
            while True:
                try:
                    event = self._portal.call(events.__anext__)
                except StopAsyncIteration:
                    return
                yield event
        finally:
            self._portal.call(events.aclose)

    def status(self, job_id: str) -> Status:
        """``AvaluaClient.status``."""
        return self._portal.call(self._client.status, job_id)

    def results(self, job_id: str) -> list[Result]:
        """``AvaluaClient.results``."""
        return self._portal.call(self._client.results, job_id)

    def cancel(self, job_id: str) -> Status:
        """``AvaluaClient.cancel``."""
        return self._portal.call(self._client.cancel, job_id)

    def health(self) -> dict[str, Any]:
        """``AvaluaClient.health``."""
        return self._portal.call(self._client.health)

    def evaluate(self, items: Iterable[ItemLike], *, priority: str | None = None) -> list[Result]:
        """``AvaluaClient.evaluate``."""
        return self._portal.call(lambda: self._client.evaluate(items, priority=priority))

    def evaluate_file(self, source: str | Path, target: str | Path, **options: Any) -> Any:
        """``AvaluaClient.evaluate_file``."""
        return self._portal.call(lambda: self._client.evaluate_file(source, target, **options))

    @property
    def _portal(self) -> BlockingPortal:
        if self._loop is None:
            raise RuntimeError("use the client in a with statement")
        return self._loop
