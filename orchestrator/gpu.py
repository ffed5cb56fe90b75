"""Whether Triton sees a GPU, by its metrics. Having none is no fault: it also runs on a CPU."""

import asyncio

import aiohttp

POLL_S = 15.0
TIMEOUT_S = 5.0
MAX_METRICS_BYTES = 4 * 1024 * 1024
GPU_SERIES = b"\nnv_gpu_"


class GpuWatch:
    """Asks Triton's metrics now and then."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.available = False

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            while True:
                self.available = await self._look(session)
                await asyncio.sleep(POLL_S)

    async def _look(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(self._url) as answer:
                return GPU_SERIES in b"\n" + await answer.content.read(MAX_METRICS_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False  # the link tells whether Triton is there; this only tells about its GPU
