"""``python -m benchmarks.fairness``: what a class of ten waits while a district of 2000 is marked.

The scripted model answers after a fixed delay. A small job's time from POST to its final event is measured
alone, and again while a large one of the same priority runs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.client import Client, deadline, make_items
from benchmarks.report import Figure, publish
from testkit.service import Service

TIMEOUT_S = 300.0
SMALL_ITEMS = 10


async def time_job(client: Client, items: list[dict[str, str]]) -> float:
    """Seconds from POST to the final event."""
    started = time.perf_counter()
    await client.follow(await client.submit(items))
    return time.perf_counter() - started


async def time_in_company(client: Client, small: list[dict[str, str]], large: list[dict[str, str]]) -> float:
    """Seconds that the small job takes, posted once the large one has its first batch and still runs."""
    first = asyncio.Event()
    large_id = await client.submit(large)
    following = asyncio.create_task(client.follow(large_id, lambda _number, _at: first.set()))
    try:
        await first.wait()
        seconds = await time_job(client, small)
        if following.done():
            raise RuntimeError("the large job ended before the small one: give it more items")
        await following
    finally:
        following.cancel()
    return seconds


async def measure(options: argparse.Namespace, run_dir: Path) -> list[Figure]:
    directive = f"[[delay_ms={options.delay_ms}]]"
    small, large = make_items(SMALL_ITEMS, directive), make_items(options.large, directive)
    alone: list[float] = []
    company: list[float] = []
    async with Service(run_dir) as service:
        client = Client(service.port)
        await time_job(client, small)  # the first requests warm the model processes up
        for number in range(options.rounds):
            async with deadline(TIMEOUT_S):
                alone.append(await time_job(client, small))
                company.append(await time_in_company(client, small, large))
            print(f"round {number + 1}: alone {alone[-1]:.3f} s, in company {company[-1]:.3f} s", flush=True)
    return [
        Figure("alone, median", statistics.median(alone), "s"),
        Figure("in company, median", statistics.median(company), "s"),
        Figure("in company, worst", max(company), "s"),
        Figure("in company to alone", statistics.median(company) / statistics.median(alone), "", 2.0),
    ]


def main() -> int:
    description = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=description)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--delay-ms", type=int, default=500)
    parser.add_argument("--large", type=int, default=2000, help="items of the large job")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avalua-fairness-") as run_dir:
        figures = asyncio.run(measure(options, Path(run_dir)))
    title = f"{SMALL_ITEMS} items beside {options.large}, each {options.delay_ms} ms"
    publish(title, figures, options.json)
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
