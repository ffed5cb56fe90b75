"""What a round needs and breaks: Triton with its launcher's supervisor, a proxy, an orchestrator."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

import psutil

from chaos.faults import Kind
from local_stack.child import Child
from local_stack.ports import free_ports
from local_stack.supervisor import Supervisor
from testkit.proxy import Proxy
from testkit.triton import ROOT, TritonProcess
from triton_common.supervision import SupervisionSettings
from triton_cpu.serve import remove_stale_memory

SUPERVISION = SupervisionSettings(
    triton_probe_interval_s=0.3,
    triton_probe_timeout_s=5.0,
    triton_probe_failures=2,
    triton_max_restarts=1_000_000,
    triton_restart_window_s=0.01,
    triton_start_timeout_s=25.0,
)
MAX_DOWN_S = 0.5
STUB = "triton_python_backend_stub"


class Stage:
    """The service under test. Use as a context manager: leaving it ends every process."""

    def __init__(self, run_dir: Path, plant: str | None = None) -> None:
        self.run_dir = run_dir
        self.problems: list[str] = []
        port, proxy_port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        server = TritonProcess.scripted(run_dir / "triton")
        self._http_port = server.http_port
        self._triton = Child("Triton", server.command, server.environment, run_dir / "triton.log")
        self._supervisor = Supervisor(self._triton, server.http_port, SUPERVISION, lambda _: None)
        self._proxy = Proxy(server.grpc_port, proxy_port)
        command = ["chaos.planted", plant] if plant else ["orchestrator"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATABASE_URL": f"sqlite:///{run_dir / 'jobs.sqlite3'}",
            "TRITON_GRPC_URL": f"127.0.0.1:{proxy_port}",
            "TRITON_METRICS_URL": server.metrics_url,
            "MAX_IN_FLIGHT": "24",
            "PROBE_INTERVAL_S": "1",
            "PROBE_TIMEOUT_S": "5",
            "RECONNECT_MAX_S": "0.5",
            "LOG_LEVEL": "WARNING",
        }
        self._orchestrator = Child(
            "The orchestrator", [sys.executable, "-m", *command], environment, run_dir / "orchestrator.log"
        )
        # Held by whoever ends the orchestrator until it is started again.
        self._restarting = asyncio.Lock()
        self._keepers: list[asyncio.Task[None]] = []
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Stage:
        async with self._resources as stack:
            # What killed servers leave in shared memory is ours to remove.
            stack.callback(remove_stale_memory, f"avalua-{self._http_port}-")
            stack.push_async_callback(self._triton.kill)
            await self._supervisor.start()
            await stack.enter_async_context(self._proxy)
            stack.push_async_callback(self._orchestrator.kill)
            await self._orchestrator.start()
            self._keepers = [
                asyncio.create_task(self._supervisor.keep()),
                asyncio.create_task(self._keep_orchestrator()),
            ]
            stack.push_async_callback(self._dismiss)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def triton_restarts(self) -> int:
        return self._supervisor.restarts

    async def inflict(self, kind: Kind, rng: random.Random) -> bool:
        """Make one fault happen; false where there was nothing to break."""
        match kind:
            case Kind.ORCHESTRATOR_KILLED:
                await self.restart_orchestrator(rng.uniform(0.0, MAX_DOWN_S))
            case Kind.TRITON_KILLED:
                if not self._triton.running:
                    return False
                await self._triton.kill()
            case Kind.MODEL_KILLED:
                return self._kill_model(rng)
            case Kind.STREAM_CUT:
                return self._proxy.cut() > 0
        return True

    async def restart_orchestrator(self, down_s: float) -> None:
        """SIGKILL, and ``down_s`` later a new start on the same database."""
        async with self._restarting:
            await self._orchestrator.kill()
            await asyncio.sleep(down_s)
            await self._orchestrator.start()

    def raise_if_broken(self) -> None:
        """Raises what ended a keeper: then the harness itself is at fault."""
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()

    def _kill_model(self, rng: random.Random) -> bool:
        if not self._triton.running:
            return False
        try:
            children = psutil.Process(self._triton.pid).children()
            models = [process for process in children if STUB in " ".join(process.cmdline())]
            if models:
                rng.choice(sorted(models, key=lambda process: process.pid)).kill()
        except psutil.NoSuchProcess:  # it ended while we looked
            return False
        return bool(models)

    async def _keep_orchestrator(self) -> None:
        """Start again what ended though nobody killed it, and hold that against it."""
        while True:
            await self._orchestrator.wait()
            async with self._restarting:
                if not self._orchestrator.running:
                    words = self._orchestrator.last_words()
                    self.problems.append(f"{self._orchestrator.obituary()} by itself. {words}")
                    await asyncio.sleep(MAX_DOWN_S)
                    await self._orchestrator.start()

    async def _dismiss(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
