"""A seed gives the same round again, and no round asks for more than a right service can do."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping

import pytest

from chaos.faults import CLUSTER, LEASE_S, SINGLE, Kind, draw_faults
from chaos.workload import make_plans

SEEDS = range(300)


def test_a_seed_gives_the_same_round() -> None:
    """Jobs and faults depend on the seed alone."""
    first, second = random.Random(5), random.Random(5)
    assert make_plans(3, first) == make_plans(3, second)
    assert draw_faults(first, CLUSTER) == draw_faults(second, CLUSTER)


@pytest.mark.parametrize("most", [SINGLE, CLUSTER])
def test_faults_come_in_order_and_within_their_limits(most: Mapping[Kind, int]) -> None:
    """Of no kind more than a round may have, with or without a poison item."""
    for seed in SEEDS:
        faults = draw_faults(random.Random(seed), most)
        assert 2 <= len(faults) <= 4
        assert all(count <= most[kind] for kind, count in Counter(fault.kind for fault in faults).items())
        assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)


def test_some_faults_outlast_a_lease_and_others_do_not() -> None:
    """A process that is stopped always comes back too late for its jobs; one that is cut off sometimes."""
    durations: dict[Kind, list[float]] = defaultdict(list)
    for seed in SEEDS:
        for fault in draw_faults(random.Random(seed), CLUSTER):
            durations[fault.kind].append(fault.duration_s)
    assert min(durations[Kind.ORCHESTRATOR_PAUSED]) > LEASE_S
    for kind in (Kind.DATABASE_PARTED, Kind.TRITON_PARTED):
        assert min(durations[kind]) < LEASE_S < max(durations[kind])


def test_an_orchestrator_is_parted_from_one_triton_or_from_all() -> None:
    """And each orchestrator, and each of two Tritons, is met."""
    faults = [fault for seed in SEEDS for fault in draw_faults(random.Random(seed), CLUSTER)]
    parted = [fault.triton for fault in faults if fault.kind is Kind.TRITON_PARTED]
    assert {None if triton is None else triton % 2 for triton in parted} == {None, 0, 1}
    assert {fault.orchestrator % 3 for fault in faults} == {0, 1, 2}


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
        kinds.update(fault.kind for fault in draw_faults(rng, CLUSTER))
    assert kinds == set(Kind)
    assert poisons == {0, 1}
    assert failures > 0
