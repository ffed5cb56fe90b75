"""What happens to jobs when Triton, its model or the stream to it fails."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from testkit.proxy import Proxy
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
    # In the company of others, in a small group, and three times alone.
    assert failed[0]["attempts"] == 5
    assert len(restarts) >= 5
    assert sorted(result["index"] for result in heard.results) == list(range(40))


class TritonProxy(Proxy):
    """A relay before a Triton, to be found as that is."""

    def __init__(self, triton: TritonProcess) -> None:
        super().__init__(triton.grpc_port)
        self.grpc_url, self.metrics_url = self.address, triton.metrics_url


async def test_a_cut_stream_sends_only_what_is_unanswered(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """The server lives: items without an answer go again at once, those with one do not."""
    async with TritonProxy(scripted_triton) as proxy, start(proxy) as client:
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
    async with TritonProxy(scripted_triton) as proxy:
        proxy.block()
        async with start(proxy, wait=False, probe_timeout_s=0.2, reconnect_max_s=0.1) as client:
            async with asyncio.timeout(20):
                await proxy.until_connections(4)
            assert (await client.call("GET", "/health"))[0] == 503
            proxy.heal()
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
