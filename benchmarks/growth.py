"""``python -m benchmarks.growth``: how cost grows with items, with jobs at once and with long answers.

Items and jobs go the whole way with a model that answers instantly, so that nothing hides what the service
itself takes. Lengths go the whole way with the demo model, which writes 40 tokens for each, so that what
grows is what it reads. No step may be worse than linear.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.client import Client, make_items
from benchmarks.questions import ENGINE_ENVIRONMENT, FIXED_TOKENS, FREE, overlay
from benchmarks.results import RESULTS, write_growth
from benchmarks.steps import Growth, Step
from demo_model.dataset import item
from demo_model.phrases import Side
from testkit.service import Service
from testkit.triton import TEST_MODEL, TritonProcess

ITEMS = (10, 100, 500, 2000, 5000, 10_000, 20_000)
JOBS = (1, 2, 5, 10, 20)
WORDS = (20, 50, 100, 200, 400, 600)
MAX_JOB_ITEMS = 2000
"""The most that the service takes in one job: more items are more jobs, all sent at once."""
LEAST_S = 1.0
"""What is over sooner is done again until so much time has passed: a clock tells little of a moment."""
TIMEOUT_S = 600.0
# All jobs are in work at once, each item is tried once, and the server is not asked anything else.
SETTINGS = {"MAX_CONCURRENT_JOBS": "20", "MAX_ATTEMPTS": "1", "PROBE_INTERVAL_S": "86400"}
# As long as the demo model can read: nothing is cut.
LONG = {"MAX_MODEL_LEN": "4096"}

Items = list[dict[str, str]]


async def run_jobs(client: Client, jobs: Sequence[Items]) -> float:
    """Seconds from the first POST to the last job's final event."""

    async def one(items: Items) -> None:
        await client.follow(await client.submit(items))

    started = time.perf_counter()
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(one(items) for items in jobs))
    return time.perf_counter() - started


async def steady(measure: Callable[[], Awaitable[float]]) -> float:
    """The mean of as many measurements as it takes to fill a second."""
    seconds = [await measure()]
    while sum(seconds) < LEAST_S:
        seconds.append(await measure())
    return sum(seconds) / len(seconds)


async def sweep(
    title: str, unit: str, sizes: Sequence[int], rounds: int, measure: Callable[[int], Awaitable[float]]
) -> Growth:
    """All sizes in turn, again and again, so that a slow minute of the machine meets all."""
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    await measure(sizes[0])  # the first requests warm the model processes up
    for number in range(rounds):
        for size in sizes:
            seconds[size].append(await steady(lambda size=size: measure(size)))  # type: ignore[misc]
            print(f"{title}, round {number + 1}: {size} {unit} in {seconds[size][-1]:.3g} s", flush=True)
    return Growth(title, unit, [Step(size, taken) for size, taken in seconds.items()])


async def sweep_service(options: argparse.Namespace, run_dir: Path) -> list[Growth]:
    """Items in all, and jobs at once, with the scripted model."""
    async with Service(run_dir, settings=SETTINGS) as service:
        client = Client(service.port)

        async def in_all(count: int) -> float:
            sizes = [MAX_JOB_ITEMS] * (count // MAX_JOB_ITEMS) + [count % MAX_JOB_ITEMS]
            return await run_jobs(client, [make_items(size) for size in sizes if size])

        async def at_once(count: int) -> float:
            return await run_jobs(client, [make_items(options.job_items) for _ in range(count)])

        grown = []
        if options.items:
            grown.append(await sweep("items in all", "items", options.items, options.rounds, in_all))
        if options.jobs:
            title = f"jobs of {options.job_items} items at once"
            grown.append(await sweep(title, "jobs", options.jobs, options.rounds, at_once))
        return grown


def texts(numbers: Iterator[int], count: int, words: int) -> Items:
    """Texts of so many words, put together from answers that no text before has used."""
    made = []
    for _ in range(count):
        first = item(Side.HELD_OUT, next(numbers))
        written = first.respuesta.split()
        while len(written) < words:
            written += item(Side.HELD_OUT, next(numbers)).respuesta.split()
        made.append({**first.request(), "respuesta": " ".join(written[:words])})
    return made


async def sweep_lengths(options: argparse.Namespace, run_dir: Path) -> list[Growth]:
    """Answers of growing length, with the demo model."""
    laid_over = overlay(run_dir / "overlay", FIXED_TOKENS)
    environment: Mapping[str, str] = {"MODEL_NAME": str(TEST_MODEL), **ENGINE_ENVIRONMENT, **FREE, **LONG}
    server = TritonProcess(run_dir / "triton", ["--overlay", str(laid_over)], environment)
    numbers = itertools.count()
    async with Service(run_dir, server=server, settings=SETTINGS) as service:
        client = Client(service.port)

        async def long(words: int) -> float:
            return await run_jobs(client, [texts(numbers, options.texts, words)])

        title = f"words an answer, {options.texts} answers"
        return [await sweep(title, "words", options.words, options.rounds, long)]


async def measure(options: argparse.Namespace, run_dir: Path) -> list[Growth]:
    grown = []
    if options.items or options.jobs:
        grown += await sweep_service(options, run_dir / "service")
    if options.words:
        grown += await sweep_lengths(options, run_dir / "lengths")
    return grown


def main() -> int:
    description = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=description)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--items", type=int, nargs="*", default=ITEMS, help="in all, instant model")
    parser.add_argument("--jobs", type=int, nargs="*", default=JOBS, help="at once, instant model")
    parser.add_argument("--job-items", type=int, default=400, help="in each of those")
    parser.add_argument("--words", type=int, nargs="*", default=WORDS, help="an answer, demo model")
    parser.add_argument("--texts", type=int, default=100, help="answers of each length")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results are written")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avalua-growth-") as run_dir:
        grown = asyncio.run(measure(options, Path(run_dir)))
    print(f"\n{write_growth(options.out, grown)}\nThe same lies in {options.out}.", flush=True)
    return 1 if any(growth.bad() for growth in grown) else 0


if __name__ == "__main__":
    sys.exit(main())
