"""Keeps Triton grading: starts it again when it died or no longer answers, and gives up in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from local_stack.child import Child
from local_stack.errors import CrashError, StackError
from local_stack.readiness import wait_ready
from triton_common.probe import NotGradingError, Probe
from triton_common.supervision import Pulse, SupervisionSettings

STOP_TIMEOUT_S = 3.0
START_ATTEMPTS = 3
BACKOFF_MAX_S = 30.0


async def start_all(supervisors: Iterable[Supervisor]) -> None:
    """Start their Tritons at once; return when all are ready. Raises StackError where one does not get so."""
    try:
        async with asyncio.TaskGroup() as group:
            for supervisor in supervisors:
                group.create_task(supervisor.start())
    except* StackError as problems:
        raise problems.exceptions[0] from None


class Supervisor:
    """Watches one Triton. ``start`` it, then run ``keep`` beside whatever uses it."""

    def __init__(
        self, triton: Child, http_port: int, settings: SupervisionSettings, say: Callable[[str], None]
    ) -> None:
        self._triton = triton
        self._http_port = http_port
        self._settings = settings
        self._say = say
        self.restarts = 0

    async def start(self) -> None:
        """Return once Triton is ready. Raises StackError where it does not get so.

        Only a crash is tried again: Triton 24.10 now and then aborts in its own start, with boost's
        `lock_exception`.
        """
        url = f"http://127.0.0.1:{self._http_port}/v2/health/ready"
        timeout_s = self._settings.triton_start_timeout_s
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(CrashError), stop=stop_after_attempt(START_ATTEMPTS), reraise=True
        ):
            with attempt:
                await self._triton.kill()
                await self._triton.start()
                await wait_ready(self._triton, url, timeout_s, self._say)

    async def keep(self) -> None:
        """Restart Triton whenever it is needed. Returns never; raises StackError when it gives up.

        The first restart comes at once, the next ones after growing pauses. A Triton that then lives through
        the restart window has recovered: what was before is forgiven.
        """
        limit = self._settings.triton_max_restarts
        while True:
            reason = await self._until_broken()
            if limit == 0:
                raise StackError(reason)
            self._announce(reason, 1)
            try:
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception_type(StackError),
                    stop=stop_after_attempt(limit),
                    wait=wait_exponential(max=BACKOFF_MAX_S),
                    before_sleep=self._before_next,
                    reraise=True,
                ):
                    with attempt:
                        await self._restart()
            except StackError as error:
                raise StackError(
                    f"{self._triton.name} was restarted {limit} times and does not recover. {error}"
                ) from None

    async def _restart(self) -> None:
        """Return once Triton has lived through the restart window; StackError if it does not."""
        self.restarts += 1
        await self._triton.stop(STOP_TIMEOUT_S)
        await self.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.triton_restart_window_s):
                raise StackError(await self._until_broken())

    def _before_next(self, state: RetryCallState) -> None:
        reason = state.outcome.exception() if state.outcome is not None else None
        self._announce(str(reason), state.attempt_number + 1)

    def _announce(self, reason: str, restart: int) -> None:
        of = f"{restart} of {self._settings.triton_max_restarts}"
        self._say(f"{self._triton.name} is started again ({of}): {reason}\n")

    async def _until_broken(self) -> str:
        """Wait until Triton has died or no longer grades; a text that says which, with its log's end."""
        died = asyncio.create_task(self._triton.wait())
        silent = asyncio.create_task(self._until_silent())
        try:
            await asyncio.wait({died, silent}, return_when=asyncio.FIRST_COMPLETED)
            reason = self._triton.exit_description() if died.done() else await silent
        finally:
            for task in (died, silent):
                task.cancel()
            await asyncio.gather(died, silent, return_exceptions=True)
        return f"{reason}. {self._triton.log_tail()}"

    async def _until_silent(self) -> str:
        probe = Probe(self._http_port, self._settings.triton_probe_timeout_s)
        pulse = Pulse(probe, self._settings)
        pause_s = pulse.interval_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                # A probe left behind by a cancellation ends with the server that it asks.
                pause_s = await asyncio.to_thread(pulse.check)
            except NotGradingError as error:
                return f"{self._triton.name} no longer grades: {error}"
