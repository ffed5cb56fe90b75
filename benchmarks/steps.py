"""How cost grows with a size: which steps are worse than linear. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 0.25
"""What noise may add: a size may cost so much more of each unit than the cheapest smaller one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One size: the seconds that it took each time."""

    size: int
    seconds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def unit_cost(self) -> float:
        """Seconds for each unit of the size."""
        return self.median / self.size


@dataclass(frozen=True, slots=True)
class Growth:
    """One thing that grows; ``unit`` is what ``size`` counts."""

    title: str
    unit: str
    steps: Sequence[Step]

    def excess(self, place: int) -> float:
        """A step's unit cost to the least of all smaller sizes: over 1 is worse than linear."""
        smaller = [step.unit_cost for step in self.steps[:place]]
        return self.steps[place].unit_cost / min(smaller) if smaller else 1.0

    def bad(self, tolerance: float = TOLERANCE) -> list[int]:
        """The sizes whose step is worse than linear, beyond what noise may add.

        Held against the cheapest smaller size, not the one before: many small steps upwards show, too.
        """
        return [step.size for place, step in enumerate(self.steps) if self.excess(place) > 1.0 + tolerance]


def table(growth: Growth) -> str:
    """A Markdown table, one row a size."""
    bad = growth.bad()
    lines = [
        f"| {growth.unit} | seconds | from - to | ms for each | to the cheapest before | |",
        "| ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for place, step in enumerate(growth.steps):
        verdict = "" if place == 0 else "**worse than linear**" if step.size in bad else "linear or better"
        lines.append(
            f"| {step.size} | {step.median:.3g} | {min(step.seconds):.3g} - {max(step.seconds):.3g} "
            f"| {1000 * step.unit_cost:.3g} | {growth.excess(place):.2f} | {verdict} |"
        )
    return "\n".join(lines)
