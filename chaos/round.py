"""One round: several jobs with their subscribers, and faults at seeded moments."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from chaos.client import JobClient, open_session
from chaos.cluster import Cluster
from chaos.faults import DISTURBANCES, Fault, draw_faults
from chaos.progress import Progress
from chaos.verdict import check_claims
from chaos.workload import make_plans

DEADLINE_S = 120.0
POISON_DEADLINE_S = 300.0
CANCEL_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round was, and what was wrong with it."""

    number: int
    faults: tuple[str, ...]
    kinds: Counter[str]
    jobs: int
    items: int
    drops: int
    seconds: float
    violations: tuple[str, ...]


async def run_round(cluster: Cluster, seed: int, number: int) -> Outcome:
    """Run round ``number``: the same ``seed`` and number give the same jobs and faults again."""
    rng = random.Random(f"{seed}-{number}")  # noqa: S311  repeatable, not secret
    plans = make_plans(number, rng)
    poison = sum(plan.poison for plan in plans)
    faults = draw_faults(rng, cluster.most)
    progress = Progress(sum(len(plan.items) for plan in plans))
    kinds: Counter[str] = Counter({"poison item": poison} if poison else {})
    started = time.monotonic()
    async with open_session() as session:
        clients = [
            JobClient(plan, cluster.urls, session, progress, random.Random(rng.random()))  # noqa: S311
            for plan in plans
        ]
        with suppress(TimeoutError):  # a job that did not end says so itself
            async with (
                asyncio.timeout(POISON_DEADLINE_S if poison else DEADLINE_S),
                asyncio.TaskGroup() as group,
            ):
                for fault in faults:
                    group.create_task(_inject(cluster, fault, progress, kinds))
                for client in clients:
                    group.create_task(client.run())
        cluster.raise_if_broken()
        violations = [text for client in clients for text in client.violations()] + cluster.problems
        disturbances = sum(fault.kind in DISTURBANCES for fault in faults)
        for job_id, claims in (await cluster.claims([client.job_id for client in clients])).items():
            violations += [f"job {job_id}: {text}" for text in check_claims(claims, disturbances)]
        cluster.problems.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_TIMEOUT_S):
                for client in clients:
                    await client.cancel()
    return Outcome(
        number=number,
        faults=tuple(str(fault) for fault in faults),
        kinds=kinds,
        jobs=len(plans),
        items=sum(len(plan.items) for plan in plans),
        drops=sum(client.drops for client in clients),
        seconds=time.monotonic() - started,
        violations=tuple(violations),
    )


async def _inject(cluster: Cluster, fault: Fault, progress: Progress, kinds: Counter[str]) -> None:
    """Make a fault happen at its moment, and count it where it did."""
    await progress.reached(fault.at)
    await asyncio.sleep(fault.delay_s)
    kinds[fault.kind.value] += await cluster.inject(fault)
