"""Start Triton, then the orchestrator; keep the one, watch the other; end both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from local_stack.child import Child
from local_stack.errors import StackError
from local_stack.plan import Plan
from local_stack.readiness import wait_ready
from local_stack.supervisor import STOP_TIMEOUT_S, Supervisor

ORCHESTRATOR_READY_TIMEOUT_S = 120.0
ORCHESTRATOR_STOP_S = 6.0


class Stack:
    """Both processes. Use as a context manager: leaving it ends them, the orchestrator first."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._say = say
        self._plan = plan
        self.triton = Child("Triton", plan.triton_command, plan.environment, plan.run_dir / "triton.log")
        self.orchestrator = Child(
            "The orchestrator", plan.orchestrator_command, plan.environment, plan.run_dir / "orchestrator.log"
        )
        self._supervisor = Supervisor(self.triton, plan.triton_http_port, plan.supervision, say)

    async def __aenter__(self) -> Stack:
        try:
            await self._supervisor.start()
            await self.orchestrator.start()
            url = f"{self._plan.orchestrator_url}/health/ready"
            await wait_ready(self.orchestrator, url, ORCHESTRATOR_READY_TIMEOUT_S, self._say)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End both; no process is left."""
        await self.orchestrator.stop(ORCHESTRATOR_STOP_S)
        await self.triton.stop(STOP_TIMEOUT_S)

    async def watch(self) -> None:
        """Return never: raise StackError when the orchestrator ends, or Triton can't be kept."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervisor.keep())
            group.create_task(self._watch_orchestrator())

    async def _watch_orchestrator(self) -> None:
        await self.orchestrator.wait()
        raise StackError(f"{self.orchestrator.obituary()}. {self.orchestrator.last_words()}")
