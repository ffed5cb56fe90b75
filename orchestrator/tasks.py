"""Long-lived tasks: each has an owner, and none may end by itself unseen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from orchestrator.observability.logs import where

log = structlog.get_logger()


@asynccontextmanager
async def running(
    work: Coroutine[Any, Any, None], name: str, on_death: Callable[[], None]
) -> AsyncIterator[asyncio.Task[None]]:
    """Runs `work` beside the block. Should it end first, that is a bug: it is logged and told."""
    task = asyncio.create_task(work, name=name)

    def died(task: asyncio.Task[None]) -> None:
        # Also when it was cancelled: the callback is gone before we do that.
        error = None if task.cancelled() else task.exception()
        log.critical("task_died", task=name, **(where(error) if error else {"cancelled": task.cancelled()}))
        on_death()

    task.add_done_callback(died)
    try:
        yield task
    finally:
        task.remove_done_callback(died)
        task.cancel()
        await asyncio.wait({task})
