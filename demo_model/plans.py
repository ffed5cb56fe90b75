"""The ways in which an answer earns each level: few ideas told well may equal many told badly."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from demo_model.answers import Kind, Plan

_FEW: Final = (0, 1)
_SOME: Final = (2, 3)
_MANY: Final = (4, 6)


@dataclass(frozen=True)
class _Way:
    """One way to earn a level, as common as its `weight`; `slips` is a range of counts of misspelt words."""

    weight: int
    kind: Kind = Kind.ON_TOPIC
    ideas: int = 0
    linked: bool = False
    wrong: bool = False
    copied: bool = False
    slips: tuple[int, int] = _FEW
    max_fillers: int = 2


_WAYS: Final = (
    (
        _Way(8, Kind.OFF_TOPIC, max_fillers=0),
        _Way(2, Kind.OFF_TOPIC, slips=_SOME, max_fillers=0),
        _Way(2, Kind.OFF_TOPIC, linked=True, max_fillers=0),
        _Way(3, Kind.BLANK, max_fillers=0),
        _Way(3, Kind.COPY, max_fillers=0),
    ),
    (
        _Way(2, Kind.VAGUE),
        _Way(1, Kind.VAGUE, slips=_SOME),
        _Way(5, ideas=1),
        _Way(1, ideas=1, copied=True),
    ),
    (
        _Way(7, ideas=2),
        _Way(2, ideas=3, slips=_MANY),
        _Way(1, ideas=3, wrong=True, slips=_SOME),
    ),
    (
        _Way(6, ideas=3),
        _Way(2, ideas=2, linked=True),
        _Way(2, ideas=4, wrong=True, slips=_SOME),
        _Way(1, ideas=4, slips=_MANY),
    ),
    (
        _Way(5, ideas=4),
        _Way(4, ideas=3, linked=True),
        _Way(1, ideas=4, linked=True, wrong=True, slips=_SOME),
        _Way(1, ideas=4, linked=True, slips=_MANY),
    ),
    (_Way(1, ideas=4, linked=True, max_fillers=1),),
)
"""By level, 0 to 5."""


def plan_for(rng: random.Random, level: int) -> Plan:
    """Return what an answer worth about `level` (0 to 5) may contain, one of several ways to earn it."""
    ways = _WAYS[level]
    way = rng.choices(ways, [candidate.weight for candidate in ways])[0]
    return Plan(
        kind=way.kind,
        ideas=way.ideas,
        connected=way.linked,
        concluded=way.linked and way.kind is Kind.ON_TOPIC,
        wrong=way.wrong,
        copied=way.copied,
        slips=rng.randint(*way.slips),
        fillers=rng.randint(0, way.max_fillers),
        run_on=not way.linked and rng.random() < 0.1,
    )
