"""``python -m benchmarks.speed``: how fast results go the whole way, from POST to the subscriber's socket.

A bare gRPC client and the whole service drive the same ensemble with an instant scripted model, in turn, so
that a slow minute of the machine meets both. The figure to trust is the ratio of the medians. Memory and
latency are measured on the same service afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.bare import BareClient
from benchmarks.client import Client, deadline, make_items
from benchmarks.latency import measure_latency
from benchmarks.report import Figure, publish
from testkit.service import Service

WINDOW = 160
"""The orchestrator's default, and so the bare client's."""
ROUND_TIMEOUT_S = 300.0


async def run_bare(service: Service, items: list[dict[str, str]]) -> float:
    """Items per second of the bare client."""
    client = BareClient(service.grpc_url, WINDOW)
    started = time.perf_counter()
    async with deadline(ROUND_TIMEOUT_S):
        await client.grade(items)
    return len(items) / (time.perf_counter() - started)


async def run_jobs(service: Service, items: list[dict[str, str]], jobs: int) -> tuple[float, float]:
    """Items per second of so many jobs at once, each subscribed; the orchestrator's CPU in ms an item."""
    client = Client(service.port)

    async def one() -> str:
        job_id = await client.submit(items)
        await client.follow(job_id)
        return job_id

    cpu_s, started = service.cpu_s(), time.perf_counter()
    async with deadline(ROUND_TIMEOUT_S):
        job_ids = await asyncio.gather(*(one() for _ in range(jobs)))
        seconds, cpu_s = time.perf_counter() - started, service.cpu_s() - cpu_s
        for job_id in job_ids:
            await client.check(job_id, len(items))
    return jobs * len(items) / seconds, 1000 * cpu_s / (jobs * len(items))


async def measure(options: argparse.Namespace, run_dir: Path) -> list[Figure]:
    items = make_items(options.items)
    bare: list[float] = []
    whole: list[float] = []
    cpu: list[float] = []
    async with Service(run_dir / "speed") as service:
        memory = [service.memory_mib()]
        await run_bare(service, items[:200])  # the first requests warm the model processes up
        for number in range(options.rounds):
            bare.append(await run_bare(service, items * options.jobs))
            rate, cpu_ms = await run_jobs(service, items, options.jobs)
            whole.append(rate)
            cpu.append(cpu_ms)
            memory.append(service.memory_mib())
            print(
                f"round {number + 1}: bare {bare[-1]:.0f} items/s, whole {rate:.0f} items/s, "
                f"orchestrator {cpu_ms:.2f} ms CPU an item, {memory[-1]:.0f} MiB",
                flush=True,
            )
        before_more = service.memory_mib()
        small = make_items(options.more_items)
        for _ in range(options.more_jobs // options.jobs):
            await run_jobs(service, small, options.jobs)
        after_more = service.memory_mib()
    ratio = statistics.median(whole) / statistics.median(bare)
    figures = [
        Figure("bare gRPC client, median", statistics.median(bare), "items/s"),
        Figure("whole path, median", statistics.median(whole), "items/s"),
        Figure("whole path to bare client", ratio, "", 0.8, at_least=True),
        Figure("orchestrator CPU an item, median", statistics.median(cpu), "ms"),
        Figure(f"memory growth, first {options.jobs} jobs", memory[1] - memory[0], "MiB", 60),
        Figure(f"memory growth, {options.more_jobs} more jobs", after_more - before_more, "MiB", 5),
    ]
    return figures + await measure_latency(items, options.jobs, options.subscribers, run_dir / "latency")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=5, help="at once")
    parser.add_argument("--items", type=int, default=2000, help="a job")
    parser.add_argument("--more-jobs", type=int, default=50, help="over which memory must not grow")
    parser.add_argument("--more-items", type=int, default=400, help="in each of those")
    parser.add_argument("--subscribers", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avalua-speed-") as run_dir:
        figures = asyncio.run(measure(options, Path(run_dir)))
    publish(f"{options.jobs} jobs of {options.items} items, instant model", figures, options.json)
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
