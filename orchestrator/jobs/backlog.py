"""How long what is waiting will take."""

import math
from collections.abc import Sequence

MAX_RETRY_AFTER_S = 3600
MIN_RATE = 1e-3


def seconds(items: int, rate: float) -> float:
    """For so many items at so many a second."""
    return items / max(rate, MIN_RATE)


def next_end_s(left: Sequence[int], rate: float) -> int:
    """When the first of the running jobs will have ended, in whole seconds, if they share the speed.

    `left`: for each of them, items without a result.
    """
    if not left:
        return 1
    wait_s = seconds(min(left) * len(left), rate)
    return max(1, min(MAX_RETRY_AFTER_S, math.ceil(wait_s)))
