"""``make run`` brings Triton back while the orchestrator goes on, and Ctrl-C ends even that."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.direct import open_url
from tests.whole_stack.conftest import LocalStack

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("whole-stack"), pytest.mark.timeout(300)]

BACK_TIMEOUT_S = 120.0


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack of this test's own, ready."""
    started = LocalStack(tmp_path)
    try:
        started.wait_ready()
        yield started
    finally:
        started.end()


def kill_triton(stack: LocalStack) -> None:
    """Return once it is gone, and the orchestrator has seen that."""
    stack.triton().kill()
    wait_for_model(stack, loaded=False)


def wait_for_model(stack: LocalStack, *, loaded: bool) -> None:
    """Return once the orchestrator, which must answer all the time, says that the model is loaded, or not."""
    deadline = time.monotonic() + BACK_TIMEOUT_S
    while health(stack)["model_loaded"] is not loaded:
        assert time.monotonic() < deadline, "".join(stack.output)
        # The only way to know is to ask; it is waited for the stack's end meanwhile, which must not come.
        with pytest.raises(subprocess.TimeoutExpired):
            stack.process.wait(0.1)


def health(stack: LocalStack) -> dict[str, object]:
    try:
        with open_url(f"{stack.url}/health", timeout=10) as answer:
            found: dict[str, object] = json.load(answer)
    except urllib.error.HTTPError as error:  # 503: unhealthy
        with error:
            found = json.load(error)
    return found


def test_triton_comes_back_and_ctrl_c_ends_a_restart(own_stack: LocalStack) -> None:
    """The orchestrator answers throughout; a Ctrl-C while Triton starts again leaves nothing behind."""
    kill_triton(own_stack)
    wait_for_model(own_stack, loaded=True)
    assert "Triton is started again (1 of 10): Triton was ended by signal 9" in "".join(own_stack.output)
    kill_triton(own_stack)
    assert own_stack.interrupt() == 0
    assert own_stack.processes() == []


def test_the_server_is_known_by_its_folder(tmp_path: Path) -> None:
    """Whatever its command line is at that moment: just forked, turned into the server, or ending."""
    stack = LocalStack(tmp_path, "tests.local_stack.silent")
    try:
        with subprocess.Popen(["sleep", "60"]) as server:
            (tmp_path / "triton").mkdir()
            (tmp_path / "triton" / ".lock").write_text(f"{server.pid}\n", "ascii")
            assert stack.triton().pid == server.pid
            server.kill()
    finally:
        stack.end()
