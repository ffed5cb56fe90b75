"""The texts that are sent: made-up answers of a school class, none of which any model was trained on."""

from __future__ import annotations

import random

from demo_model.dataset import HELD_OUT_ITEMS, items
from demo_model.phrases import Side

Item = dict[str, str]


class Texts:
    """A pool of answers that is gone through again and again, made beforehand: it costs no time later."""

    def __init__(self, count: int, delay_ms: int, seed: int) -> None:
        """With ``delay_ms`` each text tells the scripted model to take about that long.

        From half to one and a half times: no model finishes all that it runs in the same moment.
        """
        self._rng = random.Random(seed)  # noqa: S311
        self._next = 0
        self._pool = [item.request() for item in items(Side.HELD_OUT, min(count, HELD_OUT_ITEMS))]
        for item in self._pool if delay_ms else ():
            item["respuesta"] += f" [[delay_ms={round(delay_ms * self._rng.uniform(0.5, 1.5))}]]"

    def take(self, count: int) -> list[Item]:
        """So many answers, each of another student."""
        first = self._next
        self._next += count
        return [
            {**self._pool[number % len(self._pool)], "id_alumno": f"A{number}"}
            for number in range(first, first + count)
        ]

    def school_class(self, smallest: int, largest: int) -> list[Item]:
        """A class of some size between the two."""
        return self.take(self._rng.randint(smallest, largest))
