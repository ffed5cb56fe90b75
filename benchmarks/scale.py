"""``python -m benchmarks.scale``: what several orchestrators on one PostgreSQL, and two Tritons, bring.

The model is the scripted one, which answers at once or after a fixed time; only ``demo`` asks the demo model.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.client import Client, deadline, make_items
from benchmarks.fairness import time_in_company, time_job
from benchmarks.questions import held_out
from benchmarks.report import Figure, publish
from testkit.fleet import NOTHING, Fleet
from testkit.postgres import PostgresServer
from testkit.triton import TritonProcess

TIMEOUT_S = 300.0
SETTINGS: Mapping[str, str] = {
    "MAX_CONCURRENT_JOBS": "50",
    "PROBE_INTERVAL_S": "86400",
    "LOG_LEVEL": "WARNING",
}
LEASE_S = 5.0
TAKE_OVER_SLACK_S = 2.0
CLASS, LARGE = 25, 2000
FAIRNESS_ROUNDS = 5
MEMORY_ROUNDS, MEMORY_LIMIT_MIB = 40, 8.0
SLOW_ITEMS, SLOW_SEQUENCES = 400, 32
DEMO_ITEMS = 500


@asynccontextmanager
async def fleet(
    run_dir: Path,
    *,
    on_postgres: bool = True,
    orchestrators: int = 1,
    roles: Sequence[str] = (),
    tritons: int | Sequence[TritonProcess] = 1,
    settings: Mapping[str, str] = NOTHING,
) -> AsyncIterator[tuple[Fleet, list[Client]]]:
    """A fleet on a new database, and a client of each of its orchestrators."""
    database = PostgresServer(run_dir / "postgresql")
    try:
        if on_postgres:
            await asyncio.to_thread(database.start)
        async with Fleet(
            run_dir,
            orchestrators=orchestrators,
            roles=roles,
            tritons=tritons,
            database=database.url if on_postgres else "",
            settings={**SETTINGS, **settings},
        ) as running:
            yield running, [Client(each.port) for each in running.orchestrators]
    finally:
        await asyncio.to_thread(database.remove)


async def run_jobs(clients: Sequence[Client], jobs: Sequence[list[dict[str, str]]]) -> float:
    """Seconds until the last of the jobs has ended that were posted at once, in turn to each client."""

    async def one(client: Client, items: list[dict[str, str]]) -> None:
        await client.follow(await client.submit(items))

    started = time.perf_counter()
    async with deadline(TIMEOUT_S), asyncio.TaskGroup() as group:
        for client, items in zip(itertools.cycle(clients), jobs, strict=False):
            group.create_task(one(client, items))
    return time.perf_counter() - started


async def measure_rates(options: argparse.Namespace, run_dir: Path) -> list[Figure]:
    """Items a second and processor time an item, as the orchestrators grow in number."""
    figures = []
    for workers in (0, *options.workers):
        name = f"{workers} on PostgreSQL" if workers else "1 on SQLite"
        folder = run_dir / f"rates-{workers}"
        jobs = [make_items(options.items // options.jobs)] * options.jobs
        count = sum(map(len, jobs))
        async with fleet(folder, on_postgres=workers > 0, orchestrators=workers or 1) as (running, clients):
            await run_jobs(clients, [make_items(20)] * len(clients))  # the first requests warm everything up
            before = sum(each.cpu_s() for each in running.orchestrators)
            rates = [count / await run_jobs(clients, jobs) for _ in range(options.rounds)]
            used_s = sum(each.cpu_s() for each in running.orchestrators) - before
        figures.append(Figure(f"{name}: rate, median", statistics.median(rates), "items/s"))
        figures.append(Figure(f"{name}: processor time", 1000 * used_s / count / options.rounds, "ms/item"))
        print(f"{name}: {figures[-2].value:.0f} items/s, {figures[-1].value:.2f} ms an item", flush=True)
    return figures


async def measure_take_over(run_dir: Path) -> list[Figure]:
    """The longest silence on a job's stream after SIGKILL of the worker that had the job."""
    settings = {"LEASE_S": str(LEASE_S), "MAX_IN_FLIGHT": "40"}
    roles = ["api", "worker", "worker"]
    async with (
        deadline(TIMEOUT_S),
        fleet(run_dir, roles=roles, settings=settings) as (running, clients),
    ):
        _, first, second = running.orchestrators
        # The one that is stopped claims nothing: so the other one has the job for sure.
        second.pause()
        await asyncio.sleep(LEASE_S)
        heard: list[float] = []
        begun = asyncio.Event()

        def hear(_number: int, at: float) -> None:
            heard.append(at)
            begun.set()

        job_id = await clients[0].submit(make_items(LARGE, "[[delay_ms=200]]"))
        following = asyncio.create_task(clients[0].follow(job_id, hear))
        await begun.wait()
        second.resume()
        await asyncio.sleep(LEASE_S)  # its heartbeat is back
        await first.child.kill()
        killed = time.monotonic()
        await following
        await clients[0].check(job_id, LARGE)
    after = [killed, *(at for at in heard if at > killed)]
    silence_s = max(later - earlier for earlier, later in itertools.pairwise(after))
    return [Figure("take-over after SIGKILL", silence_s, "s", LEASE_S + TAKE_OVER_SLACK_S)]


async def measure_fairness(run_dir: Path) -> list[Figure]:
    """A class beside a large job, on two workers."""
    small, large = make_items(CLASS, "[[delay_ms=500]]"), make_items(LARGE)
    # As much in the mean, but not all alike: else all places are free at the same moments, and only then.
    for number, item in enumerate(large):
        item["respuesta"] += f" [[delay_ms={250 + 37 * number % 501}]]"
    alone, company = [], []
    async with fleet(run_dir, orchestrators=2) as (_, clients):
        await run_jobs(clients, [small, small])
        for number in range(FAIRNESS_ROUNDS):
            async with deadline(TIMEOUT_S):
                client = clients[number % len(clients)]
                alone.append(await time_job(client, small))
                company.append(await time_in_company(client, small, large))
    ratio = statistics.median(company) / statistics.median(alone)
    return [Figure(f"a class of {CLASS} beside {LARGE}, to alone", ratio, "", 1.5)]


async def measure_memory(run_dir: Path) -> list[Figure]:
    """How much the larger of two orchestrators has grown over many jobs, once it has settled."""
    seen: list[float] = []
    async with fleet(run_dir, orchestrators=2) as (running, clients):
        for _ in range(MEMORY_ROUNDS):
            await run_jobs(clients, [make_items(100)] * 4)
            seen.append(max(each.memory_mib() for each in running.orchestrators))
    quarter = MEMORY_ROUNDS // 4
    growth = statistics.median(seen[-quarter:]) - statistics.median(seen[quarter : 2 * quarter])
    return [Figure(f"memory's growth over {2 * MEMORY_ROUNDS} jobs", growth, "MiB", MEMORY_LIMIT_MIB)]


async def measure_tritons(run_dir: Path) -> list[Figure]:
    """Two Tritons against one, each busy with as many items as it takes, a second each."""
    items = make_items(SLOW_ITEMS, "[[delay_ms=1000]]")
    settings = {"MAX_NUM_SEQS": str(SLOW_SEQUENCES)}
    took = []
    for count in (1, 2):
        folder = run_dir / f"of-{count}"
        async with fleet(folder, tritons=count, settings=settings) as (_, clients):
            await run_jobs(clients, [items[: SLOW_ITEMS // 4]])
            took.append(await run_jobs(clients, [items]))
    return [Figure("two Tritons to one", took[0] / took[1], "times", 1.9, at_least=True)]


async def measure_demo(options: argparse.Namespace, run_dir: Path) -> list[Figure]:
    """Two Tritons with the demo model against one, in turn, on the same processors."""
    async with AsyncExitStack() as stack:
        clients = []
        for count in (1, 2):
            folder = run_dir / f"of-{count}"
            servers = [TritonProcess.vllm(folder / f"triton-{place}") for place in range(count)]
            _, (client,) = await stack.enter_async_context(fleet(folder, on_postgres=False, tritons=servers))
            clients.append(client)
        took: list[list[float]] = [[], []]
        for number in range(options.rounds + 1):
            # Texts that neither has seen, since what was seen is half done.
            first = number * DEMO_ITEMS
            jobs = [[dict(question.item) for question in held_out(DEMO_ITEMS, first, None)]]
            for place in (0, 1) if number % 2 else (1, 0):
                took[place].append(await run_jobs([clients[place]], jobs))
    one, two = (statistics.median(times[1:]) for times in took)  # the first round warms up
    rate = Figure("one Triton, demo model: rate, median", DEMO_ITEMS / one, "items/s")
    return [rate, Figure("two Tritons to one, demo model", one / two, "times", 1.0, at_least=True)]


async def measure(options: argparse.Namespace, run_dir: Path) -> list[Figure]:
    parts: dict[str, Callable[[Path], Awaitable[list[Figure]]]] = {
        "rates": lambda folder: measure_rates(options, folder),
        "take-over": measure_take_over,
        "fairness": measure_fairness,
        "memory": measure_memory,
        "tritons": measure_tritons,
        "demo": lambda folder: measure_demo(options, folder),
    }
    figures: list[Figure] = []
    for name, part in parts.items():
        if not options.only or name in options.only:
            print(f"{name} ...", flush=True)
            figures += await part(run_dir / name)
    return figures


def main() -> int:
    description = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=description)
    parser.add_argument("--only", nargs="*", help="rates, take-over, fairness, memory, tritons, demo")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--items", type=int, default=4000, help="of all jobs together")
    parser.add_argument("--jobs", type=int, default=8, help="at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avalua-scale-") as run_dir:
        figures = asyncio.run(measure(options, Path(run_dir)))
    publish("Several orchestrators and Tritons", figures, options.json)
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
