"""Start Triton, then the orchestrator; watch both; end both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp

from local_stack.child import Child
from local_stack.plan import Plan

TRITON_READY_TIMEOUT_S = 600.0
ORCHESTRATOR_READY_TIMEOUT_S = 30.0
POLL_S = 0.2
ORCHESTRATOR_STOP_S = 6.0
TRITON_STOP_S = 3.0


class StackError(RuntimeError):
    """A part of the stack did not start, or ended. Its text says which, with the end of its log."""


class Stack:
    """Both processes. Use as a context manager: leaving it ends them, the orchestrator first."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._say = say
        self._plan = plan
        self.triton = Child("Triton", plan.triton_command, plan.environment, plan.run_dir / "triton.log")
        self.orchestrator = Child(
            "The orchestrator", plan.orchestrator_command, plan.environment, plan.run_dir / "orchestrator.log"
        )

    async def __aenter__(self) -> Stack:
        try:
            await self._start(
                self.triton, f"{self._plan.triton_http_url}/v2/health/ready", TRITON_READY_TIMEOUT_S
            )
            url = f"{self._plan.orchestrator_url}/health/ready"
            await self._start(self.orchestrator, url, ORCHESTRATOR_READY_TIMEOUT_S)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End both; no process is left."""
        await self.orchestrator.stop(ORCHESTRATOR_STOP_S)
        await self.triton.stop(TRITON_STOP_S)

    async def watch(self) -> None:
        """Return never: raise StackError as soon as one of the two ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(self.triton))
            group.create_task(self._watch(self.orchestrator))

    async def _watch(self, child: Child) -> None:
        status = await child.wait()
        raise StackError(self._obituary(child, status))

    def _obituary(self, child: Child, status: int) -> str:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{child.name} {how}. The end of its log ({child.log}):\n{child.tail()}"

    async def _start(self, child: Child, url: str, timeout_s: float) -> None:
        started = time.monotonic()
        await child.start()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while not await self._answers(session, url):
                elapsed = time.monotonic() - started
                if not child.running:
                    raise StackError(self._obituary(child, await child.wait()))
                if elapsed > timeout_s:
                    raise StackError(f"{child.name} is not ready after {timeout_s:.0f} s:\n{child.tail()}")
                self._say(f"{child.name} is starting ... {elapsed:.0f} s")
                # A server has no way to tell that it is ready but to be asked.
                await asyncio.sleep(POLL_S)
        self._say(f"{child.name} is ready after {time.monotonic() - started:.1f} s.\n")

    async def _answers(self, session: aiohttp.ClientSession, url: str) -> bool:
        try:
            async with session.get(url) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False
