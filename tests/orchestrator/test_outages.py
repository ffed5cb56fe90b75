"""What happens to jobs when Triton, its model or the stream to it fails."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from local_stack.ports import free_ports
from testkit.triton import TritonProcess
from tests.orchestrator.client import Heard, make_items
from tests.orchestrator.conftest import Running, Start


def check_all_graded(heard: Heard, count: int) -> None:
    """Every item has exactly one result, a mark, and its own student."""
    assert sorted(result["index"] for result in heard.results) == list(range(count))
    for result in heard.results:
        assert result["feedback"] == f"Resposta: Mot{result['index']}", result
        assert result["id_alumno"] == f"A{result['index']}"


async def test_triton_is_killed_and_comes_back(start: Start, own_scripted_triton: TritonProcess) -> None:
    """Dispatch pauses, health says so, POST still accepts, and all goes on by itself; nothing has failed."""
    triton = own_scripted_triton
    async with start(triton) as client:
        job_id = await client.submit(make_items(60, "[[delay_ms=300]]"))
        await client.stream(job_id, events=1)
        await asyncio.to_thread(triton.kill)
        await client.until_model(loaded=False)
        status, body, _ = await client.call("GET", "/health")
        assert (status, body["model_loaded"]) == (503, False)
        assert (await client.call("GET", "/health/ready"))[0] == 200
        second = await client.submit(make_items(5))
        await asyncio.to_thread(triton.start)
        heard, other = await asyncio.gather(client.stream(job_id), client.stream(second))
        assert (await client.call("GET", "/health"))[0] == 200
    check_all_graded(heard, 60)
    check_all_graded(other, 5)
    assert heard.final["failed_items"] == other.final["failed_items"] == 0


@asynccontextmanager
async def supervised(triton: TritonProcess, client: Running) -> AsyncIterator[list[float]]:
    """Restarts a Triton whose model does not answer, as the launcher does. Gives the times of restarts."""
    restarts: list[float] = []

    async def watch() -> None:
        while True:
            await client.until_model(loaded=False)
            await asyncio.to_thread(triton.kill)
            await asyncio.to_thread(triton.start)
            restarts.append(time.monotonic())
            await client.until_model(loaded=True)

    task = asyncio.create_task(watch())
    try:
        yield restarts
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_model_process_that_dies_once_costs_nobody_a_mark(
    start: Start, own_scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Triton lives on with a dead model; a probe finds that out, and after a restart everything is graded."""
    flag = tmp_path / "die"
    flag.touch()
    items = make_items(40, "[[delay_ms=200]]")
    items[7]["respuesta"] = f"Mot7 [[die_once={flag}]]"
    triton = own_scripted_triton
    async with (
        start(triton, probe_interval_s=0.5, probe_timeout_s=3) as client,
        supervised(triton, client) as restarts,
    ):
        heard = await client.stream(await client.submit(items))
    check_all_graded(heard, 40)
    assert heard.final["failed_items"] == 0
    assert restarts


async def test_a_poison_item_fails_alone(start: Start, own_scripted_triton: TritonProcess) -> None:
    """It kills the model each time; after its attempts it fails, and nobody else, in this job or another."""
    items = make_items(40, "[[delay_ms=50]]")
    items[7]["respuesta"] = "Mot7 [[die]]"
    triton = own_scripted_triton
    async with (
        start(triton, probe_interval_s=0.5, probe_timeout_s=3) as client,
        supervised(triton, client) as restarts,
    ):
        jobs = [await client.submit(items), await client.submit(make_items(20, "[[delay_ms=50]]"))]
        heard, other = await asyncio.gather(*(client.stream(job_id) for job_id in jobs))
    check_all_graded(other, 20)
    assert other.final["failed_items"] == 0
    assert heard.final["failed_items"] == 1
    failed = [result for result in heard.results if result["status"] == "failed"]
    assert [(result["index"], result["error"]["code"]) for result in failed] == [(7, "model_crashed")]
    assert failed[0]["attempts"] == 3
    assert len(restarts) >= 3
    assert sorted(result["index"] for result in heard.results) == list(range(40))


class Proxy:
    """A TCP relay before Triton, whose connections can be cut while the server lives."""

    def __init__(self, triton: TritonProcess) -> None:
        self.grpc_url = f"127.0.0.1:{free_ports(1)[0]}"
        self.metrics_url = triton.metrics_url
        self._target = triton.grpc_port
        self._writers: list[asyncio.StreamWriter] = []
        self._relays: set[asyncio.Task[None]] = set()
        self.open = asyncio.Event()  # while it is not set, connections are taken but nothing passes
        self.open.set()
        self.connected = asyncio.Event()
        self.connections = 0

    async def __aenter__(self) -> "Proxy":
        port = int(self.grpc_url.rpartition(":")[2])
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        if self._relays:
            await asyncio.wait(self._relays)

    def cut(self) -> None:
        """Ends all connections, as a failing network would."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        self.connections += 1
        self.connected.set()
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._relay(source, target))
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            await self.open.wait()
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        target.close()


async def test_a_cut_stream_sends_only_what_is_unanswered(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """The server lives: items without an answer go again at once, those with one do not."""
    async with Proxy(scripted_triton) as proxy, start(proxy) as client:
        job_id = await client.submit(make_items(10) + make_items(30, "[[delay_ms=700]]")[10:])
        await client.stream(job_id, events=1)
        proxy.cut()
        heard = await client.stream(job_id)
    check_all_graded(heard, 30)
    assert [result["attempts"] for result in sorted(heard.results, key=lambda r: r["index"])] == [1] * 10 + [
        2
    ] * 20


async def test_a_server_that_says_nothing_is_given_up_and_tried_again(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Probes have a deadline, as often as it takes; when the server answers at last, it is used."""
    async with Proxy(scripted_triton) as proxy:
        proxy.open.clear()
        async with start(proxy, wait=False, probe_timeout_s=0.2, reconnect_max_s=0.1) as client:
            async with asyncio.timeout(20):
                while proxy.connections < 4:
                    await proxy.connected.wait()
                    proxy.connected.clear()
            assert (await client.call("GET", "/health"))[0] == 503
            proxy.open.set()
            await client.until_up()
            heard = await client.stream(await client.submit(make_items(5)))
    check_all_graded(heard, 5)


async def test_a_hanging_item_fails_after_its_attempts(start: Start, scripted_triton: TritonProcess) -> None:
    """An item that is never answered is tried again, then failed; the others don't wait for it."""
    items = make_items(15)
    items[2]["respuesta"] = "Mot2 [[hang]]"
    async with start(scripted_triton, item_timeout_s=0.5, probe_timeout_s=5) as client:
        heard = await client.stream(await client.submit(items))
    failed = [result for result in heard.results if result["status"] == "failed"]
    assert [(result["index"], result["error"]["code"], result["attempts"]) for result in failed] == [
        (2, "item_timeout", 3)
    ]
    assert len(heard.results) == 15
