"""The whole stack as a user starts it: ``python -m local_stack`` on free ports, with the real model."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from local_stack.ports import free_ports
from testkit.triton import ROOT, TEST_MODEL
from triton_common.folder import LOCK

READY = "Avalua is ready."
READY_TIMEOUT_S = 150.0
STOP_TIMEOUT_S = 10.0
NOTHING: Mapping[str, str] = MappingProxyType({})


class LocalStack:
    """One running ``make run``; ``module`` is what starts it.

    Without ``read_on`` nobody reads what it prints once it is ready.
    """

    def __init__(
        self,
        run_dir: Path,
        module: str = "local_stack",
        *,
        read_on: bool = True,
        environment: Mapping[str, str] = NOTHING,
    ) -> None:
        self.run_dir = run_dir
        self._read_on = read_on
        self.port, self.grpc_port, self.metrics_port, self.http_port = free_ports(4)
        settings = {
            **os.environ,
            "PORT": str(self.port),
            "TRITON_GRPC_PORT": str(self.grpc_port),
            "TRITON_METRICS_PORT": str(self.metrics_port),
            "TRITON_HTTP_PORT": str(self.http_port),
            "RUN_DIR": str(run_dir),
            "MODEL_NAME": str(TEST_MODEL),
            **environment,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def triton_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if READY in line:
                if not self._read_on:
                    self.process.stdout.close()
                    break
                self._ready.set()
        self._ready.set()

    def wait_for_output(self, text: str, times: int = 1, timeout_s: float = 60.0) -> None:
        """Return once a ready stack has said ``text`` so often."""
        deadline = time.monotonic() + timeout_s
        while "".join(self.output).count(text) < times:
            assert time.monotonic() < deadline, "".join(self.output)
            with pytest.raises(subprocess.TimeoutExpired):  # nothing tells of a line but to look again
                self.process.wait(0.1)

    def wait_ready(self) -> None:
        assert self._ready.wait(READY_TIMEOUT_S), "the stack did not get ready in time"
        # One that ends without having been ready closes its output before it can be seen to have ended.
        assert any(READY in line for line in self.output), "".join(self.output)

    def triton(self, folder: str = "triton") -> psutil.Process:
        """The server of a ready stack that works in ``folder``: what has claimed it says so there.

        How its command line looks depends on the moment: it is the launcher's at first, and none in the end.
        """
        return psutil.Process(int((self.run_dir / folder / LOCK).read_text(encoding="ascii")))

    def interrupt(self) -> int:
        """Ctrl-C; the exit status. Raises subprocess.TimeoutExpired where that takes over ten seconds."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(STOP_TIMEOUT_S)
        self._reader.join(STOP_TIMEOUT_S)
        return status

    def processes(self) -> list[int]:
        """The processes that belong to this stack: those that were given its run directory or ports."""
        marks = (str(self.run_dir).encode(), f"PORT={self.port}\0".encode())
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    seen = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
                    if any(mark in seen for mark in marks):
                        found.append(int(entry.name))
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)
        self._reader.join(STOP_TIMEOUT_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The stack, ready. In the end Ctrl-C must leave nothing behind."""
    started = LocalStack(tmp_path_factory.mktemp("stack"))
    try:
        started.wait_ready()
        yield started
        assert started.interrupt() == 0
        assert started.processes() == []
    finally:
        started.end()
