"""The launcher keeps Triton grading, and gives up on one that can't be kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local_stack.child import Child
from local_stack.errors import StackError
from local_stack.supervisor import Supervisor
from testkit.triton import TritonProcess
from tests.triton_common.test_probe import grade
from triton_common.probe import Probe
from triton_common.supervision import SupervisionSettings

WAIT_S = 90.0
SETTINGS = SupervisionSettings(
    triton_probe_interval_s=0.2, triton_probe_timeout_s=5, triton_probe_failures=2, triton_max_restarts=2
)


class Kept:
    """A scripted Triton under a supervisor, and what that said."""

    def __init__(self, run_dir: Path, settings: SupervisionSettings) -> None:
        self.triton = TritonProcess.scripted(run_dir)
        self.child = Child("Triton", self.triton.command, self.triton.environment, run_dir / "triton.log")
        self.said: list[str] = []
        self._heard = asyncio.Event()
        self.supervisor = Supervisor(self.child, self.triton.http_port, settings, self._say)

    def _say(self, text: str) -> None:
        if text.endswith("\n"):
            self.said.append(text)
            self._heard.set()

    async def until_said(self, text: str, times: int = 1) -> None:
        """Return once ``text`` was said so often."""
        async with asyncio.timeout(WAIT_S):
            while sum(text in line for line in self.said) < times:
                self._heard.clear()
                await self._heard.wait()


@asynccontextmanager
async def kept(run_dir: Path, settings: SupervisionSettings = SETTINGS) -> AsyncIterator[Kept]:
    """A Triton that is ready, to be kept by the block."""
    one = Kept(run_dir, settings)
    try:
        await one.supervisor.start()
        yield one
    finally:
        await one.child.kill()


async def test_what_dies_is_started_again_and_given_up_in_the_end(tmp_path: Path) -> None:
    """A death of the server, then one of its model, are each followed by a start; a third one ends it all."""
    async with kept(tmp_path) as one, asyncio.timeout(WAIT_S):
        keeping = asyncio.create_task(one.supervisor.keep())
        await one.child.kill()
        await one.until_said("Triton is started again (1 of 2): Triton was ended by signal 9")
        await one.until_said("Triton is ready", times=2)
        await asyncio.to_thread(grade, one.triton, "Hola. [[die]]")
        await one.until_said("Triton is started again (2 of 2): Triton no longer grades: 2 probes in a row")
        await one.until_said("Triton is ready", times=3)
        await asyncio.to_thread(Probe(one.triton.http_port, 5).ask)
        await one.child.kill()
        with pytest.raises(StackError, match="Triton was restarted 2 times and does not recover"):
            await keeping
    assert all("The end of its log" in line for line in one.said if "started again" in line)


async def test_a_triton_that_recovered_is_forgiven(tmp_path: Path) -> None:
    """Deaths that lie further apart than the restart window do not add up."""
    settings = SETTINGS.model_copy(update={"triton_max_restarts": 1, "triton_restart_window_s": 0.01})
    async with kept(tmp_path, settings) as one:
        keeping = asyncio.create_task(one.supervisor.keep())
        for times in (2, 3):
            # Its second probe is after the window.
            await asyncio.to_thread(
                one.triton.wait_for_metric, "nv_inference_count", {"nv_inference_count": 1.0}
            )
            await one.child.kill()
            await one.until_said("Triton is ready", times=times)
        assert sum("(1 of 1)" in line for line in one.said) == 2
        keeping.cancel()
        await asyncio.wait({keeping})


async def test_a_crash_while_starting_is_tried_again_and_no_more_than_twice(tmp_path: Path) -> None:
    """Triton may abort in its own start: that is no reason to give up at once, nor to go on for ever."""
    script = f"echo again >> {tmp_path}/starts; kill -ABRT $$"
    supervisor = Supervisor(
        Child("Triton", ["sh", "-c", script], {}, tmp_path / "triton.log"), 1, SETTINGS, lambda _: None
    )
    with pytest.raises(StackError, match=r"Triton was ended by signal 6"):
        await supervisor.start()
    assert (tmp_path / "starts").read_text("utf-8").count("again") == 3


async def test_a_start_that_hangs_is_ended(tmp_path: Path) -> None:
    """A server that lives but never gets ready is not waited for any longer than was said."""
    settings = SETTINGS.model_copy(update={"triton_start_timeout_s": 0.3})
    child = Child("Triton", ["sleep", "60"], {}, tmp_path / "triton.log")
    try:
        with pytest.raises(StackError, match="Triton is not ready after 0 s"):
            await Supervisor(child, 1, settings, lambda _: None).start()
    finally:
        await child.kill()


async def test_a_first_start_that_fails_is_final(tmp_path: Path) -> None:
    """A Triton that never was ready is not started again: its log's end says why."""
    child = Child("Triton", ["sh", "-c", "echo no weights; exit 3"], {}, tmp_path / "triton.log")
    supervisor = Supervisor(child, 1, SETTINGS, lambda _: None)
    with pytest.raises(StackError, match=r"(?s)Triton ended with status 3\. .*no weights"):
        await supervisor.start()
