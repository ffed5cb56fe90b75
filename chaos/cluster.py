"""What a round needs and breaks: orchestrators on one database, Tritons with supervisors, relays between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import psutil

from chaos.clock import move
from chaos.faults import CLUSTER, LEASE_S, SINGLE, Fault, Kind
from testkit.fleet import Fleet, Orchestrator
from testkit.postgres import PostgresServer
from testkit.proxy import Proxy
from triton_common.supervision import SupervisionSettings

SUPERVISION = SupervisionSettings(
    triton_probe_interval_s=0.3,
    triton_probe_timeout_s=3.0,
    triton_probe_failures=2,
    triton_max_restarts=1_000_000,
    triton_restart_window_s=0.01,
    triton_start_timeout_s=25.0,
)
SETTINGS: Mapping[str, str] = {
    "MAX_IN_FLIGHT": "24",
    "PROBE_INTERVAL_S": "1",
    "PROBE_TIMEOUT_S": "5",
    "RECONNECT_MAX_S": "0.5",
    "RETRY_FIRST_S": "0.05",
    "RETRY_MAX_S": "0.5",
    "ISOLATION_SLOT_S": "3",
    "SUSPECT_WAIT_S": "20",
    "PURGE_INTERVAL_S": "1",
    "LOG_LEVEL": "WARNING",
}
CLUSTER_SETTINGS: Mapping[str, str] = {
    **SETTINGS,
    "PROBE_TIMEOUT_S": "3",
    "LEASE_S": str(LEASE_S),
    "POLL_S": "0.3",
    "DATABASE_TIMEOUT_S": "2",
}
MODULE = ("chaos.orchestrator", "--clock")
ORCHESTRATORS, TRITONS = 3, 2
RESTART_S = 0.5
STUB = "triton_python_backend_stub"
REFUSAL = "orchestrator: "
"""How the line begins with which an orchestrator says why it can't start."""


class Cluster:
    """The service under test. Use as a context manager: leaving it ends every process."""

    def __init__(self, run_dir: Path, *, clustered: bool = False, plant: str | None = None) -> None:
        """One orchestrator and one Triton on SQLite; ``clustered``: several of both on one PostgreSQL."""
        self.problems: list[str] = []
        self.most = CLUSTER if clustered else SINGLE
        self._database = PostgresServer(run_dir / "postgresql") if clustered else None
        self._clocks = [run_dir / f"clock-{place}" for place in range(ORCHESTRATORS if clustered else 1)]
        self._run_dir = run_dir
        self._plant = ["--plant", plant] if plant else []
        self._fleet: Fleet
        # Held by whoever ends or stops that orchestrator, until it runs again.
        self._stopping: dict[Orchestrator, asyncio.Lock] = {}
        self._database_stopping = asyncio.Lock()
        # Those that could not reach the database at some time since their start.
        self._without_database: set[Orchestrator] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with self._resources as stack:
            if self._database is not None:
                stack.callback(self._database.remove)
                await asyncio.to_thread(self._database.start)
            for clock in self._clocks:
                clock.parent.mkdir(parents=True, exist_ok=True)
                move(clock, 0.0)
            self._fleet = Fleet(
                self._run_dir,
                tritons=1 if self._database is None else TRITONS,
                database=self._database.url if self._database is not None else "",
                modules=[
                    ["chaos.orchestrator", "--clock", str(clock), *self._plant] for clock in self._clocks
                ],
                settings=SETTINGS if self._database is None else CLUSTER_SETTINGS,
                supervision=SUPERVISION,
                proxied=True,
                stop_timeout_s=0.0,
            )
            await stack.enter_async_context(self._fleet)
            self._stopping = {each: asyncio.Lock() for each in self._fleet.orchestrators}
            keepers = [server.supervisor.keep() for server in self._fleet.tritons]
            keepers += [self._keep(each) for each in self._fleet.orchestrators]
            self._keepers = [asyncio.create_task(keeper) for keeper in keepers]
            stack.push_async_callback(self._dismiss)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def urls(self) -> list[str]:
        """Where each orchestrator is found."""
        return [each.url for each in self._fleet.orchestrators]

    @property
    def triton_restarts(self) -> int:
        return sum(server.supervisor.restarts for server in self._fleet.tritons)

    def raise_if_broken(self) -> None:
        """Raises what ended a keeper: then the harness itself is at fault."""
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()

    async def claims(self, job_ids: Sequence[str]) -> dict[str, int]:
        """How often each of these jobs was claimed; nothing where only one orchestrator could."""
        if self._database is None:
            return {}
        connection = await asyncpg.connect(self._database.url)
        try:
            found = await connection.fetch("SELECT id, epoch FROM jobs WHERE id = ANY($1::text[])", job_ids)
        finally:
            await connection.close()
        return {row["id"]: row["epoch"] for row in found}

    async def inject(self, fault: Fault) -> bool:
        """Make one fault happen, and return when it is over; false where there was nothing to break."""
        place = fault.orchestrator % len(self._fleet.orchestrators)
        orchestrator = self._fleet.orchestrators[place]
        match fault.kind:
            case Kind.ORCHESTRATOR_KILLED:
                await self._restart(orchestrator, fault.duration_s)
            case Kind.ORCHESTRATOR_PAUSED:
                await self._pause(orchestrator, fault.duration_s)
            case Kind.CLOCK_MOVED:
                move(self._clocks[place], fault.clock_s)
            case Kind.TRITON_PARTED:
                await _part(_met(orchestrator, fault.triton), fault.duration_s)
            case Kind.STREAM_CUT:
                return sum(proxy.cut() for proxy in _met(orchestrator, fault.triton)) > 0
            case Kind.TRITON_KILLED | Kind.MODEL_KILLED:
                return await self._kill_triton(fault)
            case Kind.DATABASE_PARTED if orchestrator.database is not None:
                self._without_database.add(orchestrator)
                await _part([orchestrator.database], fault.duration_s)
            case Kind.DATABASE_RESTARTED | Kind.DATABASE_PAUSED if self._database is not None:
                await self._stop_database(self._database, fault)
            case _:
                return False
        return True

    async def _kill_triton(self, fault: Fault) -> bool:
        child = self._fleet.tritons[(fault.triton or 0) % len(self._fleet.tritons)].child
        if not child.running:
            return False
        if fault.kind is Kind.MODEL_KILLED:
            return _kill_model(child.pid, fault.orchestrator)
        await child.kill()
        return True

    async def _stop_database(self, database: PostgresServer, fault: Fault) -> None:
        """End or stop it, and start it again or let it go on."""
        async with self._database_stopping:
            self._without_database.update(self._fleet.orchestrators)
            restarts = fault.kind is Kind.DATABASE_RESTARTED
            await asyncio.to_thread(database.stop if restarts else database.pause)
            try:
                await asyncio.sleep(fault.duration_s)
            finally:
                await asyncio.to_thread(database.start if restarts else database.resume)

    async def _restart(self, orchestrator: Orchestrator, down_s: float) -> None:
        """SIGKILL, and ``down_s`` later a new start on the same database."""
        async with self._stopping[orchestrator]:
            await orchestrator.child.kill()
            try:
                await asyncio.sleep(down_s)
            finally:
                await self._start(orchestrator)

    async def _pause(self, orchestrator: Orchestrator, stopped_s: float) -> None:
        async with self._stopping[orchestrator]:
            orchestrator.pause()
            try:
                await asyncio.sleep(stopped_s)
            finally:
                orchestrator.resume()

    async def _start(self, orchestrator: Orchestrator) -> None:
        parted = orchestrator.database is not None and not orchestrator.database.passing
        if not (parted or self._database_stopping.locked()):
            self._without_database.discard(orchestrator)
        await orchestrator.child.start()

    async def _keep(self, orchestrator: Orchestrator) -> None:
        """Start again what ended though nobody killed it, and hold that against it.

        It may refuse to start while it can't reach its database.
        """
        child = orchestrator.child
        while True:
            await child.wait()
            async with self._stopping[orchestrator]:
                if not child.running:
                    log = child.log.read_text(encoding="utf-8", errors="replace").splitlines()
                    refused = bool(log) and log[-1].startswith(REFUSAL)
                    if not refused or orchestrator not in self._without_database:
                        self.problems.append(f"{child.exit_description()} by itself. {child.log_tail()}")
                    await asyncio.sleep(RESTART_S)
                    await self._start(orchestrator)

    async def _dismiss(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)


def _met(orchestrator: Orchestrator, triton: int | None) -> list[Proxy]:
    """Its relays to the Triton with that number, taken modulo, or to all."""
    proxies = list(orchestrator.tritons)
    return proxies if triton is None else [proxies[triton % len(proxies)]]


async def _part(proxies: list[Proxy], duration_s: float) -> None:
    """Let nothing pass for so long."""
    for proxy in proxies:
        proxy.block()
    try:
        await asyncio.sleep(duration_s)
    finally:
        for proxy in proxies:
            proxy.heal()


def _kill_model(triton_pid: int, number: int) -> bool:
    """End one of that server's model processes; false where there is none."""
    try:
        children = psutil.Process(triton_pid).children()
        models = [process for process in children if STUB in " ".join(process.cmdline())]
        if models:
            random.Random(number).choice(sorted(models, key=lambda process: process.pid)).kill()  # noqa: S311
    except psutil.NoSuchProcess:  # it ended while we looked
        return False
    return bool(models)
