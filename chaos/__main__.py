"""``python -m chaos --rounds N``: what ``make chaos`` runs. Exit status 1 when a round went wrong.

Several jobs a round, each with subscribers that drop and return, go through the real service on a real
Triton with the scripted model. Meanwhile the orchestrator is killed and started again on the same database,
Triton or one of its model processes is killed, and the stream between the two is cut. What the clients
received is then held against what the contract promises.

With ``--cluster`` there are several orchestrators and Tritons on one PostgreSQL, and clients go from one to
the other. Orchestrators are also stopped for longer than a lease and go on then, are parted from the database
or from Tritons while their connections stay open, and have their clocks moved; the database is restarted or
stopped for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from chaos.cluster import Cluster
from chaos.planted import CLUSTER_PLANTS, PLANTS
from chaos.round import Outcome, run_round

SHOWN_VIOLATIONS = 8
SHOWN_CHARS = 1500
MAX_KEPT_LOGS = 10


async def run(options: argparse.Namespace) -> int:
    """Run all rounds; the number of violations."""
    run_dir: Path = options.run_dir
    print(f"chaos: {options.rounds} rounds with seed {options.seed}, logs in {run_dir}", flush=True)
    outcomes: list[Outcome] = []
    async with Cluster(run_dir, clustered=options.cluster, plant=options.plant) as cluster:
        for number in range(options.first, options.first + options.rounds):
            outcomes.append(await run_round(cluster, options.seed, number))
            report(outcomes[-1])
            if outcomes[-1].violations and sum(bool(o.violations) for o in outcomes) <= MAX_KEPT_LOGS:
                keep_logs(run_dir, number)
            if outcomes[-1].violations and options.plant:
                break  # it is found
        restarts = cluster.triton_restarts
    summarise(outcomes, restarts)
    return sum(len(outcome.violations) for outcome in outcomes)


def report(outcome: Outcome) -> None:
    """One line a round, and one a violation."""
    faults = ", ".join(outcome.faults)
    poison = ", poison item" if outcome.kinds["poison item"] else ""
    verdict = f"{len(outcome.violations)} VIOLATIONS" if outcome.violations else "ok"
    work = f"{outcome.jobs} jobs, {outcome.items} items"
    print(f"round {outcome.number}: {work}; {faults}{poison}; {outcome.seconds:.1f} s: {verdict}", flush=True)
    for text in outcome.violations[:SHOWN_VIOLATIONS]:
        print(f"  VIOLATION {text[:SHOWN_CHARS]}", flush=True)
    if len(outcome.violations) > SHOWN_VIOLATIONS:
        print(f"  ... and {len(outcome.violations) - SHOWN_VIOLATIONS} more", flush=True)


def keep_logs(run_dir: Path, number: int) -> None:
    """The logs as they are after round ``number``: the next round writes over them."""
    kept = run_dir / f"round-{number}"
    kept.mkdir()
    for log in run_dir.glob("*.log*"):
        shutil.copy(log, kept)


def summarise(outcomes: list[Outcome], restarts: int) -> None:
    kinds = sum((outcome.kinds for outcome in outcomes), Counter[str]())
    jobs, items = sum(o.jobs for o in outcomes), sum(o.items for o in outcomes)
    print(
        f"{len(outcomes)} rounds, {jobs} jobs, {items} items, {sum(o.seconds for o in outcomes):.0f} s\n"
        f"faults: {', '.join(f'{kind} {count}' for kind, count in sorted(kinds.items()))}, "
        f"subscriber dropped {sum(o.drops for o in outcomes)}; Triton started again {restarts} times\n"
        f"violations: {sum(len(o.violations) for o in outcomes)}",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="number of the first round, to run one again")
    parser.add_argument("--cluster", action="store_true", help="several of everything, on PostgreSQL")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--plant", choices=sorted(PLANTS), help="build this bug into the orchestrator")
    parser.add_argument("--run-dir", type=Path, help="where logs and the database go (default: a new folder)")
    options = parser.parse_args(arguments)
    if options.plant in CLUSTER_PLANTS and not options.cluster:
        parser.error(f"--plant {options.plant} shows with --cluster alone")
    options.run_dir = options.run_dir or Path(tempfile.mkdtemp(prefix="avalua-chaos-"))
    return 1 if asyncio.run(run(options)) else 0


if __name__ == "__main__":
    sys.exit(main())
