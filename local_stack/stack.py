"""Start Triton, one or several, then the orchestrator; keep the one, watch the other; end all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from local_stack.child import Child
from local_stack.errors import StackError
from local_stack.plan import Plan
from local_stack.readiness import wait_ready
from local_stack.supervisor import STOP_TIMEOUT_S, Supervisor, start_all

ORCHESTRATOR_READY_TIMEOUT_S = 120.0
ORCHESTRATOR_STOP_S = 6.0


class Stack:
    """All processes. Use as a context manager: leaving it ends them, the orchestrator first."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._say = say
        self._plan = plan
        self._tritons = [Child(one.name, one.command, one.environment, one.log) for one in plan.tritons]
        self.orchestrator = Child(
            "The orchestrator", plan.orchestrator_command, plan.environment, plan.run_dir / "orchestrator.log"
        )
        self._supervisors = [
            Supervisor(child, one.ports.http, plan.supervision, say)
            for child, one in zip(self._tritons, plan.tritons, strict=True)
        ]

    async def __aenter__(self) -> Stack:
        try:
            await start_all(self._supervisors)
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
        """End all; no process is left."""
        await self.orchestrator.stop(ORCHESTRATOR_STOP_S)
        await asyncio.gather(*(triton.stop(STOP_TIMEOUT_S) for triton in self._tritons))

    async def watch(self) -> None:
        """Return never: raise StackError when the orchestrator ends, or a Triton can't be kept.

        A Triton that is started again leaves the others alone.
        """
        async with asyncio.TaskGroup() as group:
            for supervisor in self._supervisors:
                group.create_task(supervisor.keep())
            group.create_task(self._watch_orchestrator())

    async def _watch_orchestrator(self) -> None:
        await self.orchestrator.wait()
        raise StackError(f"{self.orchestrator.exit_description()}. {self.orchestrator.log_tail()}")
