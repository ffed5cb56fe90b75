"""The real service on a real port, in this process or in one of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from aiohttp import web

from local_stack.ports import free_ports
from orchestrator.api.connections import listening_site
from orchestrator.api.keys import SERVICE
from orchestrator.api.service import Service
from orchestrator.app import make_app
from orchestrator.config import Settings
from testkit.triton import ROOT, TritonProcess
from tests.orchestrator.client import WAIT_S, Client

Start = Callable[..., AbstractAsyncContextManager["Running"]]


class Triton(Protocol):
    """Where to find a server."""

    @property
    def grpc_url(self) -> str: ...
    @property
    def metrics_url(self) -> str: ...


class Running(Client):
    """A client of a service that runs in this process, whose parts can be looked at."""

    service: Service
    service_routes: list[Any]

    async def until_up(self) -> None:
        """Returns once the model has answered."""
        async with asyncio.timeout(WAIT_S):
            assert self.service.pool is not None
            await self.service.pool.loaded.wait()

    async def until_model(self, loaded: bool) -> None:
        """Returns once /health says that the model answers, or that it does not."""
        async with asyncio.timeout(WAIT_S):
            while (await self.call("GET", "/health"))[1]["model_loaded"] is not loaded:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # there is no other way to learn of it but to ask


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with a database of this test's own; what is named wins."""

    def build(triton: Triton | None = None, **more: Any) -> Settings:
        urls = {"triton_grpc_url": "127.0.0.1:1", "triton_metrics_url": "http://127.0.0.1:1/metrics"}
        if triton is not None:
            urls = {"triton_grpc_url": triton.grpc_url, "triton_metrics_url": triton.metrics_url}
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "database_url": f"sqlite:///{tmp_path}/jobs.sqlite3",
            "reconnect_max_s": 0.5,
            **urls,
        }
        return Settings(**{**values, **more})

    return build


@pytest.fixture
def start(settings_for: Callable[..., Settings]) -> Start:
    """Starts the service in this process: `async with start(triton, batch_size=3) as client`."""

    @asynccontextmanager
    async def started(
        triton: Triton | None = None, *, wait: bool = True, **more: Any
    ) -> AsyncIterator[Running]:
        settings = settings_for(triton, **more)
        app = make_app(settings)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await listening_site(runner, settings).start()
            base = f"http://127.0.0.1:{runner.addresses[0][1]}"
            timeout = aiohttp.ClientTimeout(total=WAIT_S)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                client = Running(base, session)
                client.service = app[SERVICE]
                client.service_routes = list(app.router.routes())
                if triton is not None and wait:
                    await client.until_up()
                yield client
        finally:
            await runner.cleanup()

    return started


class OwnProcess(Client):
    """A service in a process of its own, to be killed and started again on the same database."""

    def __init__(self, settings: dict[str, str], session: aiohttp.ClientSession) -> None:
        self._environment = {**os.environ, **settings}
        self._said: list[str] = []
        self._says_more = asyncio.Condition()
        self._listener: asyncio.Task[None]
        self.process: asyncio.subprocess.Process
        super().__init__(f"http://127.0.0.1:{settings['PORT']}", session)

    async def launch(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "orchestrator",
            env=self._environment,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        self._said = []
        self._listener = asyncio.create_task(self._listen())
        await self.logged("started")
        await self.logged("triton_up")

    async def logged(self, event: str) -> None:
        """Returns once the process, since its start, has logged this event."""
        async with asyncio.timeout(WAIT_S), self._says_more:
            await self._says_more.wait_for(lambda: event in self._said or self._listener.done())
        assert event in self._said, f"the service ended without logging {event}"

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._says_more:
                self._said.append(json.loads(line)["event"])
                self._says_more.notify_all()
        async with self._says_more:
            self._says_more.notify_all()

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(WAIT_S):
            await self._listener
            return await self.process.wait()


@asynccontextmanager
async def launched(folder: Path, triton: TritonProcess, **more: str) -> AsyncIterator[OwnProcess]:
    """A running service in its own process, with a database in this folder."""
    settings = {
        "HOST": "127.0.0.1",
        "PORT": str(free_ports(1)[0]),
        "DATABASE_URL": f"sqlite:///{folder}/jobs.sqlite3",
        "TRITON_GRPC_URL": triton.grpc_url,
        "TRITON_METRICS_URL": triton.metrics_url,
        **more,
    }
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as session:
        process = OwnProcess(settings, session)
        await process.launch()
        try:
            yield process
        finally:
            await process.end(signal.SIGKILL)


@pytest.fixture
async def own_process(tmp_path: Path, scripted_triton: TritonProcess) -> AsyncIterator[OwnProcess]:
    """A running service in its own process."""
    async with launched(tmp_path, scripted_triton) as process:
        yield process
