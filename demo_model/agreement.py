"""How well given marks and comments agree with the right ones, wherever they come from.

`python -m demo_model.offline | python -m demo_model.agreement` judges the model without the service.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from demo_model.assignments import COURSES
from demo_model.dataset import Item, items
from demo_model.marks import MAX_MARK
from demo_model.phrases import Side

_COURSE: Final = re.compile("|".join(re.escape(course) for course in COURSES))
_MARKS: Final = list(range(MAX_MARK + 1))


@dataclass(frozen=True)
class Graded:
    """What came back for one item: a mark and a comment, or None where there is none."""

    nota: int | None
    feedback: str | None


@dataclass(frozen=True)
class Agreement:
    """Shares are of the marked items, 0 to 1; `confusion` has right marks down and given ones across."""

    items: int
    unmarked: int
    kappa: float
    exact: float
    within_one: float
    mean_error: float
    off_topic: int
    off_topic_low: int
    naming_a_course: int
    naming_the_course: int
    confusion: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        rows = [
            f"    {mark} | " + " ".join(f"{n:5d}" for n in row) for mark, row in enumerate(self.confusion)
        ]
        return "\n".join(
            [
                f"items                     {self.items}, of which {self.unmarked} came back without a mark",
                f"quadratic weighted kappa  {self.kappa:.3f}",
                f"exact agreement           {self.exact:.3f}",
                f"within one                {self.within_one:.3f}",
                f"mean absolute error       {self.mean_error:.3f}",
                f"off topic, marked 0 or 1  {self.off_topic_low} of {self.off_topic}",
                f"feedback names a course   {self.naming_a_course}; the right one: {self.naming_the_course}",
                "right mark down, given mark across",
                "      | " + " ".join(f"{mark:5d}" for mark in _MARKS),
                *rows,
            ]
        )


def score(asked: Sequence[Item], graded: Sequence[Graded]) -> Agreement:
    """Compare what came back with what is right, item by item in the same order.

    Items without a mark are counted, and left out of the agreement. An off-topic one among them is not "low".
    """
    pairs = list(zip(asked, graded, strict=True))
    marked = [(item, result.nota) for item, result in pairs if result.nota is not None]
    if not marked:
        raise ValueError(
            f"none of {len(pairs)} items came back with a mark: there is no agreement to speak of"
        )
    right = np.array([item.nota for item, _ in marked])
    given = np.array([nota for _, nota in marked])
    off_by = np.abs(right - given)
    named = [(item, _COURSE.findall(result.feedback or "")) for item, result in pairs]
    return Agreement(
        items=len(pairs),
        unmarked=len(pairs) - len(marked),
        kappa=float(cohen_kappa_score(right, given, labels=_MARKS, weights="quadratic")),
        exact=float((off_by == 0).mean()),
        within_one=float((off_by <= 1).mean()),
        mean_error=float(off_by.mean()),
        off_topic=sum(item.off_topic for item in asked),
        off_topic_low=sum(item.off_topic and nota <= 1 for item, nota in marked),
        naming_a_course=sum(bool(courses) for _, courses in named),
        naming_the_course=sum(bool(courses) and set(courses) == {item.curso} for item, courses in named),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion_matrix(right, given, labels=_MARKS)),
    )


def parse(text: str) -> Graded | None:
    """Return the mark and comment in the model's bare text, or None if it is not the JSON asked for."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return None
    match answer:
        case {"nota": int(nota), "feedback": str(feedback)} if len(answer) == 2 and 0 <= nota <= MAX_MARK:
            return Graded(nota, feedback)
    return None


def main() -> None:
    """Read one JSON line an answer, for the first held-out items in order, and print the figures."""
    texts = [json.loads(line)["text"] for line in sys.stdin]
    parsed = [parse(text) for text in texts]
    print(score(list(items(Side.HELD_OUT, len(texts))), [graded or Graded(None, None) for graded in parsed]))
    print(f"valid JSON                {sum(graded is not None for graded in parsed)} of {len(parsed)}")


if __name__ == "__main__":
    main()
