"""The container's first process ends when Triton is of no use any more, and takes everything along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from testkit.triton import ROOT, TritonProcess
from tests.triton_common.test_probe import grade

END_TIMEOUT_S = 60.0
KEEP = """
import os, sys
from triton_common.keeper import Keeper
from triton_common.probe import Probe
from triton_common.supervision import SupervisionSettings

settings = SupervisionSettings.from_env(os.environ)
probe = Probe(int(os.environ["TRITON_HTTP_PORT"]), settings.triton_probe_timeout_s)
sys.exit(Keeper(sys.argv[1:], os.environ, probe, settings).run())
"""


class Kept:
    """A scripted Triton under a keeper, in a process of its own."""

    def __init__(self, run_dir: Path, command: list[str] | None = None, **settings: str) -> None:
        self.triton = TritonProcess.scripted(run_dir)
        probing = {
            "TRITON_PROBE_INTERVAL_S": "0.2",
            "TRITON_PROBE_TIMEOUT_S": "2",
            "TRITON_PROBE_FAILURES": "2",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", KEEP, *(command or self.triton.command)],
            env={**self.triton.environment, **probing, **settings},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._family = [psutil.Process(self.process.pid)]

    def wait_ready(self) -> None:
        """Return once the keeper has seen that its server is ready, and knows all its processes."""
        assert self.process.stderr is not None
        assert any("triton: Triton is ready." in line for line in self.process.stderr), "it ended"
        self._family += self._family[0].children(recursive=True)

    @property
    def server(self) -> psutil.Process:
        return self._family[1]

    def end(self) -> tuple[int, str]:
        """The exit status and the rest of what it said. Nothing that it had started is left."""
        _, said = self.process.communicate(timeout=END_TIMEOUT_S)
        _, left = psutil.wait_procs(self._family, timeout=5)
        assert left == []
        return self.process.returncode, said


Keep = Callable[..., Kept]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    """Starts a keeper; whatever is left of it is killed."""
    started: list[Kept] = []

    def start(command: list[str] | None = None, **settings: str) -> Kept:
        started.append(Kept(tmp_path, command, **settings))
        return started[-1]

    yield start
    for kept in started:
        if kept.process.poll() is None:
            children = psutil.Process(kept.process.pid).children(recursive=True)
            kept.process.kill()
            kept.process.communicate()
            for child in children:
                child.kill()
            psutil.wait_procs(children, timeout=5)


def test_it_ends_with_0_when_it_is_asked_to(keep: Keep) -> None:
    """SIGTERM is passed on, the server ends in good order, and that is no failure."""
    kept = keep()
    kept.wait_ready()
    kept.process.send_signal(signal.SIGTERM)
    assert kept.end()[0] == 0


def test_it_ends_when_the_server_dies(keep: Keep) -> None:
    """The exit status is the one of a process that was ended by that signal."""
    kept = keep()
    kept.wait_ready()
    kept.server.kill()
    status, said = kept.end()
    assert (status, said) == (128 + signal.SIGKILL, "triton: Triton was ended by signal 9.\n")


def test_it_ends_when_the_model_dies(keep: Keep) -> None:
    """The server lives on and says that it is ready; the keeper finds out, and ends it."""
    kept = keep()
    kept.wait_ready()
    grade(kept.triton, "Hola. [[die]]")
    status, said = kept.end()
    assert status == 1
    assert "Triton does not grade and is ended: 2 probes in a row failed" in said


def test_it_ends_when_the_model_hangs(keep: Keep) -> None:
    """A model process that is stopped answers nothing, or Triton gives it up: either is found out."""
    kept = keep()
    kept.wait_ready()
    model = next(p for p in kept.server.children() if "gemma2" in " ".join(p.cmdline()))
    os.kill(model.pid, signal.SIGSTOP)
    status, said = kept.end()
    assert status == 1
    assert "Triton does not grade and is ended: 2 probes in a row failed" in said


def test_it_ends_when_the_start_hangs(keep: Keep) -> None:
    """A server that lives but never gets ready would else be waited for for ever."""
    status, said = keep(["sleep", "60"], TRITON_START_TIMEOUT_S="0.5").end()
    assert status == 1
    assert "Triton does not grade and is ended: it is not ready 0.5 s after its start" in said


def test_it_ends_when_the_server_cannot_start(keep: Keep) -> None:
    """A server that ends by itself, even in good order, is a failure: nobody asked it to."""
    assert keep(["true"]).end() == (1, "triton: Triton ended with status 0.\n")
    assert keep(["sh", "-c", "exit 7"]).end() == (7, "triton: Triton ended with status 7.\n")
