"""The service as real processes: any number of orchestrators and Tritons on one database, on this machine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psutil
from sqlalchemy import make_url

from local_stack.child import Child
from local_stack.ports import free_ports
from local_stack.readiness import wait_ready
from local_stack.supervisor import Supervisor, start_all
from testkit.proxy import Proxy
from testkit.triton import ROOT, TritonProcess
from triton_common.supervision import SupervisionSettings
from triton_cpu.serve import remove_stale_memory

READY_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 10.0
MIB = 1024 * 1024
POSTGRESQL_PORT = 5432
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One Triton of a fleet, and what can keep it running."""

    process: TritonProcess
    child: Child
    supervisor: Supervisor


@dataclass(frozen=True, slots=True, eq=False)
class Orchestrator:
    """One orchestrator of a fleet, with its own relays to the database and to each Triton, if any."""

    child: Child
    port: int
    database: Proxy | None
    tritons: Sequence[Proxy]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.child.pid

    async def ready(self) -> None:
        """Return once it says that it is ready. Raises StackError where it doesn't get so."""
        await wait_ready(self.child, f"{self.url}/health/ready", READY_TIMEOUT_S, _quiet)

    def pause(self) -> None:
        """Stop it in its tracks, until ``resume``: it does nothing, and its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was. One that has ended meanwhile is left alone."""
        if self.child.running:
            os.kill(self.pid, signal.SIGCONT)

    def cpu_s(self) -> float:
        """Processor seconds that it has used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def memory_mib(self) -> float:
        """Its resident memory."""
        return float(psutil.Process(self.pid).memory_info().rss) / MIB


class Fleet:
    """All processes. Use as a context manager: leaving it ends them.

    Each orchestrator works on each Triton. With ``proxied`` it has a relay of its own to each, and to the
    database where that has a port.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        orchestrators: int = 1,
        tritons: int | Sequence[TritonProcess] = 1,
        database: str = "",
        modules: Iterable[Sequence[str]] = (),
        roles: Sequence[str] = (),
        settings: Mapping[str, str] = NOTHING,
        supervision: SupervisionSettings | None = None,
        proxied: bool = False,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        """``tritons`` are servers that are not started yet, or how many with the scripted model.

        ``database`` is a URL (SQLite in ``run_dir`` without one), ``modules`` what starts each orchestrator,
        with its arguments, ``roles`` what each does (both by default), ``settings`` are all orchestrators'.
        """
        self.run_dir = run_dir
        self._stop_timeout_s = stop_timeout_s
        supervision = supervision or SupervisionSettings(triton_start_timeout_s=READY_TIMEOUT_S)
        if isinstance(tritons, int):
            tritons = [TritonProcess.scripted(run_dir / f"triton-{place + 1}") for place in range(tritons)]
        self.tritons = [self._server(place, process, supervision) for place, process in enumerate(tritons, 1)]
        database = database or f"sqlite:///{run_dir / 'jobs.sqlite3'}"
        commands = list(modules) or [["orchestrator"]] * (len(roles) or orchestrators)
        own = [{"ROLES": role} for role in roles] or [{} for _ in commands]
        self.orchestrators = [
            self._orchestrator(place, command, database, {**settings, **more}, proxied=proxied)
            for place, (command, more) in enumerate(zip(commands, own, strict=True), 1)
        ]
        self._resources = AsyncExitStack()

    def _server(self, place: int, process: TritonProcess, supervision: SupervisionSettings) -> Server:
        log = self.run_dir / f"triton-{place}.log"
        child = Child(f"Triton {place}", process.command, process.environment, log)
        return Server(process, child, Supervisor(child, process.http_port, supervision, _quiet))

    def _orchestrator(
        self, place: int, command: Sequence[str], database: str, settings: Mapping[str, str], *, proxied: bool
    ) -> Orchestrator:
        port = free_ports(1)[0]
        url = make_url(database)
        database_proxy = None
        if proxied and url.host is not None:
            database_proxy = Proxy(url.port or POSTGRESQL_PORT)
            url = url.set(host="127.0.0.1", port=database_proxy.port)
        proxies = [Proxy(server.process.grpc_port) for server in self.tritons] if proxied else []
        addresses = [proxy.address for proxy in proxies] or [
            server.process.grpc_url for server in self.tritons
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "TRITON_GRPC_URL": ",".join(addresses),
            "TRITON_METRICS_URL": ",".join(server.process.metrics_url for server in self.tritons),
            **settings,
        }
        log = self.run_dir / f"orchestrator-{place}.log"
        child = Child(f"Orchestrator {place}", [sys.executable, "-m", *command], environment, log)
        return Orchestrator(child, port, database_proxy, proxies)

    async def __aenter__(self) -> Self:
        async with self._resources as stack:
            for server in self.tritons:
                # What killed servers leave in shared memory is ours to remove.
                stack.callback(remove_stale_memory, f"avalua-{server.process.http_port}-")
                stack.push_async_callback(server.child.stop, self._stop_timeout_s)
            await start_all(server.supervisor for server in self.tritons)
            for each in self.orchestrators:
                for proxy in filter(None, [each.database, *each.tritons]):
                    await stack.enter_async_context(proxy)
                stack.push_async_callback(each.child.stop, self._stop_timeout_s)
                await each.child.start()
            for each in self.orchestrators:
                await each.ready()
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()


def _quiet(_: str) -> None:
    """Progress is of no interest here."""
