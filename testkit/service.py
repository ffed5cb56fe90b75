"""The real service for a benchmark: a Triton and the orchestrator, as children."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

import psutil

from local_stack.child import Child
from local_stack.ports import free_ports
from local_stack.readiness import wait_ready
from testkit.triton import ROOT, TritonProcess
from triton_cpu.serve import remove_stale_memory

READY_TIMEOUT_S = 300.0
MIB = 1024 * 1024


class Service:
    """Both processes. Use as a context manager: leaving it ends them."""

    def __init__(
        self,
        run_dir: Path,
        module: str = "orchestrator",
        *,
        server: TritonProcess | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """``module`` is what starts the orchestrator, ``settings`` are its.

        ``server`` is a Triton that is not started yet; without one the model is the scripted one.
        """
        self.port = free_ports(1)[0]
        self.server = server = server or TritonProcess.scripted(run_dir / "triton")
        self.grpc_url = server.grpc_url
        self._http_url, self._http_port = server.http_url, server.http_port
        self._triton = Child("Triton", server.command, server.environment, run_dir / "triton.log")
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite:///{run_dir / 'jobs.sqlite3'}",
            "TRITON_GRPC_URL": server.grpc_url,
            "TRITON_METRICS_URL": server.metrics_url,
            "TRACE_FILE": str(run_dir / "commits.txt"),
            **(settings or {}),
        }
        command = [sys.executable, "-m", module]
        self._orchestrator = Child("The orchestrator", command, environment, run_dir / "orchestrator.log")
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Service:
        async with self._resources as stack:
            stack.callback(remove_stale_memory, f"avalua-{self._http_port}-")
            stack.push_async_callback(self._triton.stop, 10.0)
            await self._triton.start()
            await wait_ready(self._triton, f"{self._http_url}/v2/health/ready", READY_TIMEOUT_S, _quiet)
            stack.push_async_callback(self._orchestrator.stop, 10.0)
            await self._orchestrator.start()
            ready = f"http://127.0.0.1:{self.port}/health/ready"
            await wait_ready(self._orchestrator, ready, READY_TIMEOUT_S, _quiet)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def triton_pid(self) -> int:
        return self._triton.pid

    @property
    def orchestrator_pid(self) -> int:
        return self._orchestrator.pid

    def cpu_s(self) -> float:
        """Processor seconds that the orchestrator has used so far."""
        times = psutil.Process(self._orchestrator.pid).cpu_times()
        return float(times.user + times.system)

    def memory_mib(self) -> float:
        """The orchestrator's resident memory."""
        return float(psutil.Process(self._orchestrator.pid).memory_info().rss) / MIB


def _quiet(_: str) -> None:
    """Progress is of no interest here."""
