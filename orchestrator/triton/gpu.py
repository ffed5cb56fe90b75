"""Whether Triton sees GPUs, and their memory, by its metrics. Having none is no fault: a CPU will do."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

POLL_S = 15.0
TIMEOUT_S = 5.0
MAX_METRICS_BYTES = 4 * 1024 * 1024
GPU_SERIES = "nv_gpu_"
MEMORY = "nv_gpu_memory_"
TOTAL = "nv_gpu_memory_total_bytes"
USED = "nv_gpu_memory_used_bytes"


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Of all GPUs together, in bytes."""

    total_bytes: int
    used_bytes: int


class GpuWatch:
    """Asks the metrics of all Tritons now and then."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self.available = False
        self.memory: GpuMemory | None = None

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            while True:
                pages = await asyncio.gather(*(self._page(session, url) for url in self._urls))
                page = [line for lines in pages for line in lines]
                self.available = any(line.startswith(GPU_SERIES) for line in page)
                self.memory = read_memory(page)
                await asyncio.sleep(POLL_S)

    async def _page(self, session: aiohttp.ClientSession, url: str) -> list[str]:
        """The lines of a page, which comes in pieces: the GPUs stand far down."""
        page = bytearray()
        try:
            async with session.get(url) as answer:
                async for piece in answer.content.iter_any():
                    page += piece
                    if len(page) > MAX_METRICS_BYTES:
                        break
        except (aiohttp.ClientError, TimeoutError, OSError):
            return []  # the pool tells whether Triton is there; this only tells about its GPUs
        return page.decode("utf-8", "replace").splitlines()


def read_memory(page: list[str]) -> GpuMemory | None:
    """What the page says of the GPUs' memory; none where it says nothing."""
    found: dict[str, list[float]] = {TOTAL: [], USED: []}
    try:
        for family in text_string_to_metric_families("\n".join(line for line in page if MEMORY in line)):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample.value)
        total, used = (int(sum(found[name])) if found[name] else None for name in (TOTAL, USED))
    except (ValueError, OverflowError):  # not as Prometheus writes it, or no number
        return None
    return GpuMemory(total, used) if total is not None and used is not None else None
