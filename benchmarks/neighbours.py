"""``python -m benchmarks.neighbours``: how many marks change when other texts share the batch with them.

The same held-out items go to one server again and again, in other orders and with other numbers in flight.
Seeds follow from the texts, so what differs comes from the batch alone: sums over other shapes round
otherwise in their last bits.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.trust import grade
from demo_model.dataset import Item, items
from demo_model.phrases import Side
from testkit.triton import TritonProcess

WINDOW = 160
"""The orchestrator's default. The run that the others are compared with has it, and the items' own order."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One item's mark, feedback, and probability of the mark; in the order of the items."""

    nota: int
    feedback: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two runs over the same items: counts of items, and the largest change of a probability."""

    marks: int
    feedbacks: int
    by_more_than_one: int
    largest_doubt: float


def compare(reference: Sequence[Marked], other: Sequence[Marked]) -> Difference:
    """What differs between two runs. Raises ValueError where they are not of the same length."""
    pairs = list(zip(reference, other, strict=True))
    return Difference(
        marks=sum(a.nota != b.nota for a, b in pairs),
        feedbacks=sum(a.feedback != b.feedback for a, b in pairs),
        by_more_than_one=sum(abs(a.nota - b.nota) > 1 for a, b in pairs),
        largest_doubt=max(
            (abs(a.confidence - b.confidence) for a, b in pairs if a.nota == b.nota), default=0.0
        ),
    )


def mark_in_order(url: str, made: Sequence[Item], order: Sequence[int], window: int) -> list[Marked]:
    """Send the items in this order; what came back, in the items' own order."""
    _, answers = grade(url, [made[index] for index in order], window)
    marked = {
        index: Marked(int(answer["nota"]), str(answer["feedback"]), float(answer["confidence"]))
        for index, answer in zip(order, answers, strict=True)
    }
    return [marked[index] for index in range(len(made))]


def main() -> None:
    """Read the command line, run, and print a table."""
    parser = argparse.ArgumentParser(description="How many marks change with their neighbours in the batch.")
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7, help="of the shuffled orders")
    arguments = parser.parse_args()
    made = list(items(Side.HELD_OUT, arguments.items))
    straight = list(range(len(made)))
    rng = random.Random(arguments.seed)  # noqa: S311  repeatable, not secret
    runs = {
        "the same again": (straight, WINDOW),
        "backwards": (straight[::-1], WINDOW),
        "shuffled": (rng.sample(straight, len(straight)), WINDOW),
        "shuffled otherwise": (rng.sample(straight, len(straight)), WINDOW),
        "40 in flight": (straight, 40),
        "10 in flight": (straight, 10),
        "one by one": (straight, 1),
    }
    with tempfile.TemporaryDirectory() as folder:
        server = TritonProcess.vllm(Path(folder))
        try:
            server.start()
            reference = mark_in_order(server.grpc_url, made, straight, WINDOW)
            print(f"{len(made)} items, compared with {WINDOW} in flight in their own order\n")
            print(
                "| run | marks changed | by more than 1 | feedback changed | largest change of confidence |"
            )
            print("| --- | ---: | ---: | ---: | ---: |")
            changed = 0
            for name, (order, window) in runs.items():
                found = compare(reference, mark_in_order(server.grpc_url, made, order, window))
                print(
                    f"| {name} | {found.marks} | {found.by_more_than_one} | {found.feedbacks} "
                    f"| {found.largest_doubt:.3f} |",
                    flush=True,
                )
                changed += found.marks
        finally:
            server.stop()
    count = len(runs) * len(made)
    print(f"\n{changed} of {count} marks changed ({changed / count:.2%})")


if __name__ == "__main__":
    main()
