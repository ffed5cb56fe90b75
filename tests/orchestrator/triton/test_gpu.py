"""Triton's page of metrics, as a machine with GPUs shows it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from orchestrator.triton.gpu import GpuMemory, GpuWatch, read_memory

GPUS = """\
# HELP nv_gpu_memory_total_bytes GPU total memory, in bytes
# TYPE nv_gpu_memory_total_bytes gauge
nv_gpu_memory_total_bytes{gpu_uuid="GPU-aaaa"} 48305799168.000000
nv_gpu_memory_total_bytes{gpu_uuid="GPU-bbbb"} 48305799168.000000
# HELP nv_gpu_memory_used_bytes GPU used memory, in bytes
# TYPE nv_gpu_memory_used_bytes gauge
nv_gpu_memory_used_bytes{gpu_uuid="GPU-aaaa"} 1.5e+10
nv_gpu_memory_used_bytes{gpu_uuid="GPU-bbbb"} 0
"""
FILLER = "".join(f'nv_inference_count{{model="m{number}",version="1"}} {number}\n' for number in range(2000))


async def test_gpus_at_the_end_of_a_page_that_comes_in_pieces_are_seen() -> None:
    """Each piece is sent after the one before was read."""

    async def page(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for start in range(0, len(FILLER + GPUS), 7000):
            await answer.write((FILLER + GPUS)[start : start + 7000].encode())
            await asyncio.sleep(0.01)  # a packet of its own each
        return answer

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        watch = GpuWatch([f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"])
        task = asyncio.create_task(watch.run())
        async with asyncio.timeout(20):
            while not watch.available:  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait({task})
    finally:
        await runner.cleanup()
    assert watch.memory == GpuMemory(2 * 48305799168, 15_000_000_000)


@pytest.mark.parametrize(
    ("page", "memory"),
    [
        (FILLER, None),
        ("", None),
        ("nv_gpu_memory_total_bytes 10\nnv_gpu_memory_used_bytes 4", GpuMemory(10, 4)),
        ("nv_gpu_memory_total_bytes 10", None),
        ("nv_gpu_memory_total_bytes NaN\nnv_gpu_memory_used_bytes +Inf", None),
        ('nv_gpu_memory_total_bytes{gpu_uuid="} 10\nnv_gpu_memory_used_bytes{} x', None),
    ],
)
def test_memory_is_known_or_it_is_none(page: str, memory: GpuMemory | None) -> None:
    """What can't be read is no figure."""
    assert read_memory(page.splitlines()) == memory
