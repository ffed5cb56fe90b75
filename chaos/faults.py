"""What goes wrong in a round, and when. Pure: seeded draws."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LEASE_S = 3.0
"""Of the orchestrators of a cluster: some faults last longer than that, some don't."""
CLOCK_JUMP_S = 2 * 3600.0
"""Further than a job's results are kept: whoever believed that clock would delete them."""


class Kind(StrEnum):
    ORCHESTRATOR_KILLED = "orchestrator killed"
    ORCHESTRATOR_PAUSED = "orchestrator paused"
    DATABASE_PARTED = "parted from the database"
    TRITON_PARTED = "parted from Triton"
    STREAM_CUT = "stream cut"
    DATABASE_RESTARTED = "database restarted"
    DATABASE_PAUSED = "database paused"
    TRITON_KILLED = "Triton killed"
    MODEL_KILLED = "model process killed"
    CLOCK_MOVED = "clock moved"


WEIGHTS = {
    Kind.ORCHESTRATOR_KILLED: 4,
    Kind.ORCHESTRATOR_PAUSED: 3,
    Kind.DATABASE_PARTED: 3,
    Kind.TRITON_PARTED: 2,
    Kind.STREAM_CUT: 3,
    Kind.DATABASE_RESTARTED: 2,
    Kind.DATABASE_PAUSED: 2,
    Kind.TRITON_KILLED: 2,
    Kind.MODEL_KILLED: 2,
    Kind.CLOCK_MOVED: 1,
}
DURATIONS_S: Mapping[Kind, tuple[float, float]] = {
    Kind.ORCHESTRATOR_KILLED: (0.0, 0.5),
    # It comes back when others have its jobs, and knows nothing of that.
    Kind.ORCHESTRATOR_PAUSED: (LEASE_S + 0.5, LEASE_S + 2.5),
    Kind.DATABASE_PARTED: (0.3, LEASE_S + 2.5),
    Kind.TRITON_PARTED: (0.3, LEASE_S + 2.5),
    Kind.DATABASE_RESTARTED: (0.0, 0.5),
    # For longer than a lease, too: then every worker has given its jobs up.
    Kind.DATABASE_PAUSED: (0.3, 2 * LEASE_S + 2.5),
}
"""Least and most; a kind that is missing is over at once."""
SINGLE: Mapping[Kind, int] = {
    Kind.ORCHESTRATOR_KILLED: 2,
    Kind.STREAM_CUT: 2,
    Kind.TRITON_KILLED: 2,
    Kind.MODEL_KILLED: 2,
}
"""How many of each kind a round with one orchestrator has at most. Others don't occur."""
CLUSTER: Mapping[Kind, int] = {
    Kind.ORCHESTRATOR_KILLED: 2,
    Kind.ORCHESTRATOR_PAUSED: 2,
    Kind.DATABASE_PARTED: 2,
    Kind.TRITON_PARTED: 2,
    Kind.STREAM_CUT: 2,
    Kind.DATABASE_RESTARTED: 1,
    Kind.DATABASE_PAUSED: 1,
    Kind.TRITON_KILLED: 2,
    Kind.MODEL_KILLED: 2,
    Kind.CLOCK_MOVED: 2,
}
"""The same for several orchestrators on one database."""
DISTURBANCES = frozenset(
    {
        Kind.ORCHESTRATOR_KILLED,
        Kind.ORCHESTRATOR_PAUSED,
        Kind.DATABASE_PARTED,
        Kind.DATABASE_RESTARTED,
        Kind.DATABASE_PAUSED,
    }
)
"""Those after which others go on with an orchestrator's jobs."""
OVERLAP_SHARE = 0.3
"""Of faults: those that come right after another one, while it is still being recovered from."""
ALL_TARGETS_SHARE = 0.25
"""Of partings from Triton: those that part an orchestrator from every one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    ``at``: the share of the round's results that clients have heard by then; then ``delay_s`` more.
    ``duration_s``: how long it lasts. ``orchestrator`` and ``triton``: whom it meets, taken modulo how many
    there are; without a ``triton`` it meets all. ``clock_s``: how far that clock then is from the true time.
    """

    kind: Kind
    at: float
    delay_s: float
    duration_s: float = 0.0
    orchestrator: int = 0
    triton: int | None = None
    clock_s: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.duration_s:.1f} s" if self.duration_s else ""
        return f"{self.kind} at {self.at:.0%}{lasting}"


def draw_faults(rng: random.Random, most: Mapping[Kind, int]) -> list[Fault]:
    """A round's faults in order, at most so many of each kind."""
    left = dict(most)
    faults: list[Fault] = []
    for _ in range(rng.randint(2, 4)):
        kinds = [kind for kind in left if left[kind]]
        kind = rng.choices(kinds, weights=[WEIGHTS[kind] for kind in kinds])[0]
        left[kind] -= 1
        overlaps = bool(faults) and rng.random() < OVERLAP_SHARE
        faults.append(
            Fault(
                kind,
                at=faults[-1].at if overlaps else rng.uniform(0.0, 0.85),
                delay_s=rng.uniform(0.0, 1.0 if overlaps else 0.05),
                duration_s=rng.uniform(*DURATIONS_S.get(kind, (0.0, 0.0))),
                orchestrator=rng.randrange(1000),
                triton=None if rng.random() < ALL_TARGETS_SHARE else rng.randrange(1000),
                clock_s=rng.choice([-CLOCK_JUMP_S, 0.0, CLOCK_JUMP_S]),
            )
        )
    return sorted(faults, key=lambda fault: fault.at)
