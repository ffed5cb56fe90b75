"""How the places for items in flight are shared by several workers."""

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_SHARE = 10
"""Of all places, what a worker has at once; jobs that hold many leave as much free in any case."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker: the weights of its jobs together, the items that it could send or has sent, its places."""

    weight: int
    wanted: int
    held: int


@dataclass(frozen=True, slots=True)
class Share:
    """The places that a worker has from now on, and those that are fair, once others have given them back."""

    places: int
    fair: int


def share(size: int, mine: Holder, others: Sequence[Holder]) -> Share:
    """How many of all `size` places are mine: by weight, what others don't want included.

    Never so many that all together hold more than there are, but a tenth for each who wants some: a worker
    whose job has just come need not wait until others have given places back.
    """
    if mine.weight <= 0 or mine.wanted <= 0:
        return Share(0, 0)
    fair = max(1, _fair(size, mine, others))
    first = min(fair, max(1, size // FIRST_SHARE))
    return Share(max(first, min(fair, size - sum(other.held for other in others))), fair)


def _fair(size: int, mine: Holder, others: Sequence[Holder]) -> int:
    """Those that want the least for their weight come first, and leave the rest to others."""
    wanting = [holder for holder in (mine, *others) if holder.weight > 0 and holder.wanted > 0]
    weight = sum(holder.weight for holder in wanting)
    for holder in sorted(wanting, key=lambda holder: holder.wanted / holder.weight):
        fair = min(holder.wanted, size * holder.weight // weight)
        if holder is mine:
            return fair
        size -= fair
        weight -= holder.weight
    return 0
