"""Several real Tritons as one."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from orchestrator.config import Settings
from orchestrator.inbox import Inbox
from orchestrator.jobs import Item
from orchestrator.observability.metrics import Metrics
from orchestrator.triton.codec import Answer
from orchestrator.triton.events import Answered, Broken, Down, Probed, Up
from orchestrator.triton.pool import Pool
from orchestrator.triton.server import Server
from testkit.proxy import Proxy
from testkit.triton import TritonProcess

WAIT_S = 60.0


class Running:
    """A pool with all that it has told so far."""

    def __init__(self, settings: Settings) -> None:
        self.inbox: Inbox[Any] = Inbox()
        self.pool = Pool(settings, Metrics(settings.triton_grpc_urls), self.inbox)
        self.told: list[Any] = []
        self._ids = (f"r{number}" for number in count(1))

    async def until(self, done: Callable[[list[Any]], bool]) -> None:
        """Returns once what was told satisfies this."""
        async with asyncio.timeout(WAIT_S):
            while not done(self.told):
                self.told += await self.inbox.get(WAIT_S)

    async def until_up(self, servers: int) -> None:
        await self.until(lambda told: len([one for one in told if isinstance(one, Up)]) >= servers)

    def send(self, text: str, server: Server | None = None, consigna: str = "Explica.") -> tuple[str, Server]:
        item = Item(0, "A1", "3r ESO", consigna, text)
        server = server or self.pool.pick(item)
        assert server is not None
        request_id = next(self._ids)
        self.pool.send(server, request_id, item, 1)
        return request_id, server

    def of(self, kind: type[Any], server: Server) -> list[Any]:
        return [one for one in self.told if isinstance(one, kind) and one.server is server]

    def answers(self) -> dict[str, Any]:
        return {one.request_id: one.outcome for one in self.told if isinstance(one, Answered)}


@asynccontextmanager
async def running(*urls: str, **more: Any) -> AsyncIterator[Running]:
    """A pool on these servers, which all answer."""
    values = {"reconnect_max_s": 0.3, "probe_interval_s": 0.5, "probe_timeout_s": 3.0, **more}
    pool = Running(Settings(triton_grpc_url=",".join(urls), **values))
    task = asyncio.create_task(pool.pool.run())
    try:
        await pool.until_up(len(urls))
        yield pool
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def second_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """Another scripted Triton of this test's own."""
    server = TritonProcess.scripted(tmp_path_factory.mktemp("second"))
    server.start()
    yield server
    server.stop()


async def test_two_servers_share_work_and_keep_assignments_together(
    scripted_triton: TritonProcess, second_triton: TritonProcess
) -> None:
    """The one with the least in flight gets an item, unless the other one has its assignment's beginning."""
    async with running(scripted_triton.grpc_url, second_triton.grpc_url, max_in_flight=40) as pool:
        first = [pool.send(f"M{number} [[delay_ms=300]]", consigna="A")[1] for number in range(4)]
        assert len(set(first)) == 1
        other = [pool.send(f"N{number} [[delay_ms=300]]", consigna="B")[1] for number in range(4)]
        assert len(set(other)) == 1
        assert other[0] is not first[0]
        many = [pool.send(f"O{number} [[delay_ms=300]]", consigna="C")[1] for number in range(32)]
        assert {many.count(server) for server in pool.pool.servers} == {16}
        assert pool.pool.pick(Item(0, "A", "c", "C", "r")) is None  # both are full
        await pool.until(lambda told: len([one for one in told if isinstance(one, Answered)]) == 40)
        assert all(isinstance(outcome, Answer) for outcome in pool.answers().values())
        assert [server.in_flight for server in pool.pool.servers] == [0, 0]


async def test_a_server_that_dies_is_told_and_comes_back_restarted(
    scripted_triton: TritonProcess, own_scripted_triton: TritonProcess
) -> None:
    """What it had gets no answer; the other one goes on."""
    async with running(scripted_triton.grpc_url, own_scripted_triton.grpc_url) as pool:
        living, dying = pool.pool.servers
        pool.send("Mort [[delay_ms=60000]]", dying)
        await asyncio.to_thread(own_scripted_triton.kill)
        await pool.until(lambda _: bool(pool.of(Down, dying)))
        assert len(pool.of(Broken, dying)) == 1
        assert (dying.up, dying.in_flight) == (False, 0)
        request_id, server = pool.send("Viu")
        assert server is living
        await pool.until(lambda _: request_id in pool.answers())
        await asyncio.to_thread(own_scripted_triton.start)
        await pool.until(lambda _: len(pool.of(Up, dying)) == 2)
        assert [up.restarted for up in pool.of(Up, dying)] == [False, True]
        assert pool.of(Down, living) == []


async def test_a_broken_connection_is_no_restart(scripted_triton: TritonProcess) -> None:
    """Cut again and again, with a server that lives: it is the same one each time."""
    async with Proxy(scripted_triton.grpc_port) as proxy, running(proxy.address) as pool:
        (server,) = pool.pool.servers
        for number in range(2, 5):
            request_id, _ = pool.send("Hola")
            await pool.until(lambda _, id_=request_id: id_ in pool.answers())  # type: ignore[misc]
            proxy.cut()
            await pool.until(lambda _, number=number: len(pool.of(Up, server)) == number)  # type: ignore[misc]
        assert not any(up.restarted for up in pool.of(Up, server))


async def test_a_server_that_is_stopped_is_down_until_it_goes_on(
    own_scripted_triton: TritonProcess,
) -> None:
    """Nothing else tells: its connection stays open, and a probe is not answered."""
    async with running(own_scripted_triton.grpc_url) as pool:
        (server,) = pool.pool.servers
        os.killpg(own_scripted_triton.pid, signal.SIGSTOP)
        try:
            await pool.until(lambda _: bool(pool.of(Down, server)))
            assert pool.pool.pick(Item(0, "A", "c", "C", "r")) is None
        finally:
            os.killpg(own_scripted_triton.pid, signal.SIGCONT)
        await pool.until(lambda _: len(pool.of(Up, server)) == 2)
        assert [up.restarted for up in pool.of(Up, server)] == [False, False]


async def test_a_doubt_is_answered_by_a_probe(scripted_triton: TritonProcess) -> None:
    """Soon, and with the time at which it was sent."""
    async with running(scripted_triton.grpc_url, probe_interval_s=3600.0) as pool:
        (server,) = pool.pool.servers
        pool.pool.doubt(server)
        await pool.until(lambda _: bool(pool.of(Probed, server)))
        assert pool.of(Probed, server)[0].alive


def test_a_late_server_gets_fewer_and_earns_them_back() -> None:
    """Half as many at once; a tenth more for each round of good answers."""
    server = Server("a:1", 160)
    server.slow()
    assert server.capacity == 80
    for _ in range(80):
        server.answered()
    assert server.capacity == 88
    for _ in range(10_000):
        server.answered()
    assert server.capacity == 160
