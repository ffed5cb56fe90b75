"""From the commit of an event to its bytes on the subscribers' sockets, and on into their hands.

The service itself tells when it had written an event to a socket (its metrics); the subscribers, which share
one process and the machine with it, when they had read it.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
from pathlib import Path

from benchmarks.client import Client, deadline, make_items
from benchmarks.report import Figure
from testkit.service import Service

TIMEOUT_S = 300.0
PACED_DELAYS_MS = range(500, 1500, 37)
"""Of the model, in the run at moderate load: a second on average, which makes 160 items a second with the
default window. No two neighbours have the same, or answers would come in waves."""
PACED_ITEMS = 300
LIMIT_MS = 20.0
DELIVERY = "avalua_event_delivery_seconds"
MIN_LATENCIES = 20


async def measure_latency(
    items: list[dict[str, str]], jobs: int, subscribers: int, run_dir: Path
) -> list[Figure]:
    """P50 and P95 in ms over all events and all subscribers, at full load and at a moderate one."""
    async with Service(run_dir, "benchmarks.traced") as service:
        figures: list[Figure] = []
        for name, sent in (("full load", items), ("160 items/s", _paced())):
            before = await _written(service)
            read_ms = await _follow(service, sent, jobs, subscribers, run_dir / "commits.txt")
            within, written = (now - then for now, then in zip(await _written(service), before, strict=True))
            where = f"{subscribers} subscribers, {name}"
            figures += [
                Figure(
                    f"written to the socket within {LIMIT_MS:g} ms of the commit, {where}",
                    100 * within / written,
                    "%",
                    95,
                    at_least=True,
                ),
                Figure(f"commit to the reader's hands, {where}, P50", statistics.median(read_ms), "ms"),
                Figure(f"commit to the reader's hands, {where}, P95", _p95(read_ms), "ms", LIMIT_MS),
            ]
    return figures


def _paced() -> list[dict[str, str]]:
    """Items of one job for the run at moderate load."""
    delays = itertools.cycle(PACED_DELAYS_MS)
    return [
        {**item, "respuesta": f"{item['respuesta']} [[delay_ms={next(delays)}]]"}
        for item in make_items(PACED_ITEMS)
    ]


async def _written(service: Service) -> tuple[float, float]:
    """How many deliveries the service has made within the limit, and how many in all."""
    client = Client(service.port)
    within = await client.metric(f'{DELIVERY}_bucket{{le="{LIMIT_MS / 1000:g}"}}')
    return within, await client.metric(f"{DELIVERY}_count")


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
