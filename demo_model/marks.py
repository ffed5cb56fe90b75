"""From what an answer contains to its mark: its quality, three raters who differ, their rounded median."""

from __future__ import annotations

import math
import random
import statistics
from typing import Final

from demo_model.answers import Answer, Kind

MAX_MARK: Final = 5

_BY_IDEAS: Final = (0.6, 1.0, 2.0, 3.0, 3.9)
_WITHOUT_IDEAS: Final = {Kind.OFF_TOPIC: 0.0, Kind.BLANK: 0.0, Kind.COPY: 0.1, Kind.VAGUE: 0.9}
_SEVERITY: Final = (-0.2, 0.0, 0.2)
_RATER_NOISE: Final = 0.15


def quality(answer: Answer) -> float:
    """Return what the answer is worth, in marks, before any rater has seen it."""
    plan = answer.plan
    if plan.kind is not Kind.ON_TOPIC:
        return _WITHOUT_IDEAS[plan.kind]
    worth = _BY_IDEAS[len(answer.covered)]
    worth += 0.55 * plan.connected + 0.35 * plan.concluded
    worth -= 0.9 if answer.slips >= 4 else 0.3 if answer.slips >= 2 else 0.0
    worth -= 0.6 * plan.wrong + 0.2 * plan.copied
    return worth


def rate(rng: random.Random, worth: float) -> tuple[float, ...]:
    """Return the marks of three raters, in halves from 0 to 5: a severe one, a fair one, a generous one."""
    seen = (worth + bias + rng.gauss(0.0, _RATER_NOISE) for bias in _SEVERITY)
    return tuple(min(max(round(2 * mark) / 2, 0.0), float(MAX_MARK)) for mark in seen)


def label(ratings: tuple[float, ...]) -> int:
    """Return the rounded median of the raters' marks; a half is rounded up, in the student's favour."""
    return math.floor(statistics.median(ratings) + 0.5)
