"""What goes wrong in a round, and when. Pure: seeded draws."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    ORCHESTRATOR_KILLED = "orchestrator killed"
    TRITON_KILLED = "Triton killed"
    MODEL_KILLED = "model process killed"
    STREAM_CUT = "stream cut"


WEIGHTS = {
    Kind.ORCHESTRATOR_KILLED: 4,
    Kind.TRITON_KILLED: 2,
    Kind.MODEL_KILLED: 2,
    Kind.STREAM_CUT: 3,
}
OVERLAP_SHARE = 0.3
"""Of faults: those that come right after another one, while it is still being recovered from."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``at``: the share of the round's results that clients have heard by then; then ``delay_s`` more."""

    kind: Kind
    at: float
    delay_s: float

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:.0%}"


def draw_faults(rng: random.Random, *, poison: bool) -> list[Fault]:
    """A round's faults in order.

    An item is given up as what killed the model after three crashes, so an innocent one must not meet
    so many: at most two kills of the model, by us or by a poison item's first two attempts.
    """
    left = {
        Kind.ORCHESTRATOR_KILLED: 2,
        Kind.TRITON_KILLED: 0 if poison else 1,
        Kind.MODEL_KILLED: 0 if poison else 1,
        Kind.STREAM_CUT: 1 if poison else 2,
    }
    faults: list[Fault] = []
    for _ in range(min(rng.randint(2, 4), sum(left.values()))):
        kinds = [kind for kind in Kind if left[kind]]
        kind = rng.choices(kinds, weights=[WEIGHTS[kind] for kind in kinds])[0]
        left[kind] -= 1
        overlaps = bool(faults) and rng.random() < OVERLAP_SHARE
        at = faults[-1].at if overlaps else rng.uniform(0.0, 0.85)
        faults.append(Fault(kind, at, rng.uniform(0.0, 1.0 if overlaps else 0.05)))
    return sorted(faults, key=lambda fault: fault.at)
