"""A seed gives the same round again, and no round asks for more than a right service can do."""

from __future__ import annotations

import random

from chaos.faults import Kind, draw_faults
from chaos.workload import make_plans

SEEDS = range(300)


def test_a_seed_gives_the_same_round() -> None:
    """Jobs and faults depend on the seed alone."""
    first, second = random.Random(5), random.Random(5)
    assert make_plans(3, first) == make_plans(3, second)
    assert draw_faults(first, poison=False) == draw_faults(second, poison=False)


def test_no_item_meets_three_crashes() -> None:
    """The model is killed at most twice a round, and not at all by us where a poison item does it."""
    killers = {Kind.TRITON_KILLED, Kind.MODEL_KILLED}
    for seed in SEEDS:
        for poison, most in ((False, 2), (True, 0)):
            faults = draw_faults(random.Random(seed), poison=poison)
            assert sum(fault.kind in killers for fault in faults) <= most
            assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)


def test_every_kind_of_fault_and_item_comes_up() -> None:
    """Over many seeds nothing is left out, and a round has at most one poison item."""
    kinds: set[Kind] = set()
    poisons: set[int] = set()
    failures = 0
    for seed in SEEDS:
        rng = random.Random(seed)
        plans = make_plans(1, rng)
        poisons.add(sum(plan.poison for plan in plans))
        failures += sum(plan.failures for plan in plans)
        kinds.update(fault.kind for fault in draw_faults(rng, poison=False))
    assert kinds == set(Kind)
    assert poisons == {0, 1}
    assert failures > 0
