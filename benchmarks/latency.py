"""From the commit of an event to its bytes on the subscribers' sockets."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

from benchmarks.client import Client, deadline, make_items
from benchmarks.report import Figure
from benchmarks.service import Service

TIMEOUT_S = 300.0
PACED_DELAY_MS = 1000
"""Of the model, in the run at moderate load: with the default window that makes 160 items a second."""
PACED_ITEMS = 300
LIMIT_MS = 20.0
MIN_LATENCIES = 20


async def measure_latency(
    items: list[dict[str, str]], jobs: int, subscribers: int, run_dir: Path
) -> list[Figure]:
    """P50 and P95 in ms over all events and all subscribers, at full load and at a moderate one."""
    async with Service(run_dir, "benchmarks.traced") as service:
        full = await _follow(service, items, jobs, subscribers, run_dir / "commits.txt")
        paced_items = make_items(PACED_ITEMS, f"[[delay_ms={PACED_DELAY_MS}]]")
        paced = await _follow(service, paced_items, jobs, subscribers, run_dir / "commits.txt")
    name = f"commit to socket, {subscribers} subscribers"
    return [
        Figure(f"{name}, full load, P50", statistics.median(full), "ms"),
        Figure(f"{name}, full load, P95", _p95(full), "ms", LIMIT_MS),
        Figure(f"{name}, 160 items/s, P50", statistics.median(paced), "ms"),
        Figure(f"{name}, 160 items/s, P95", _p95(paced), "ms", LIMIT_MS),
    ]


async def _follow(
    service: Service, items: list[dict[str, str]], jobs: int, subscribers: int, trace: Path
) -> list[float]:
    """The latency of each event at each subscriber, in ms, once all jobs have ended."""
    client = Client(service.port)
    heard: list[tuple[str, int, float]] = []

    async def one(count: int) -> None:
        job_id = await client.submit(items)
        follow = (
            client.follow(job_id, lambda number, at: heard.append((job_id, number, at))) for _ in range(count)
        )
        await asyncio.gather(*follow)

    async with deadline(TIMEOUT_S):
        await asyncio.gather(*(one(subscribers // jobs) for _ in range(jobs)))
    committed = _read(trace)
    # What was committed before a subscriber came is replayed to it: those events say nothing.
    first = {key: min(at for job, _, at in heard if job == key) for key in {job for job, _, _ in heard}}
    latencies = [
        1000 * (at - committed[job_id, number])
        for job_id, number, at in heard
        if committed[job_id, number] >= first[job_id]
    ]
    if len(latencies) < MIN_LATENCIES:
        raise RuntimeError("the jobs were over before anybody listened: give them more items")
    return latencies


def _read(trace: Path) -> dict[tuple[str, int], float]:
    """When each event of each job was committed."""
    rows = (line.split() for line in trace.read_text("utf-8").splitlines())
    return {(job_id, int(number)): float(at) for at, job_id, number in rows}


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
