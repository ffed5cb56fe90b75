"""`python -m demo_model.dataset`: made-up items, each a student's answer with its mark and feedback.

Item number n of a side depends on the seed, the side and n alone, so any part of the data can be made again
without the rest, and the standard library is all it takes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from demo_model.answers import Answer, Kind, Plan, write
from demo_model.assignments import COURSES, Assignment, assignments
from demo_model.feedback import comment
from demo_model.marks import MAX_MARK, label, quality, rate
from demo_model.phrases import Side, expand
from demo_model.plans import plan_for

SEED: Final = 2024
TRAIN_ITEMS: Final = 72_000
LATER_TRAIN_ITEMS: Final = 24_000
"""More training items, behind the first, in groups of `LATER_GROUP`: see `item`."""
LATER_GROUP: Final = 4
HELD_OUT_ITEMS: Final = 1_000


@dataclass(frozen=True)
class Item:
    """One answer to mark, with the fields of `POST /evaluate`, and what a good model says of it."""

    id_alumno: str
    curso: str
    consigna: str
    respuesta: str
    nota: int
    feedback: str
    kind: str
    asked: str
    about: str
    """The topics of the assignment and, where it is sure to have one, of the answer."""

    def request(self) -> dict[str, str]:
        """Return what the service is sent: the item without its mark."""
        return {
            "id_alumno": self.id_alumno,
            "curso": self.curso,
            "consigna": self.consigna,
            "respuesta": self.respuesta,
        }

    def target(self) -> str:
        """Return the text that the model is to write: JSON, the mark first."""
        return json.dumps({"nota": self.nota, "feedback": self.feedback}, ensure_ascii=False)

    @property
    def off_topic(self) -> bool:
        """Whether the answer is about something else."""
        return self.kind == Kind.OFF_TOPIC.value


def item(side: Side, number: int, seed: int = SEED) -> Item:
    """Make item `number` (from 0) of `side`. All six levels of quality come equally often.

    In each group of later training items the first is a good answer, and the second is its twin: the same
    answer, handed in for another assignment. What tells them apart is nothing but what was asked, which the
    model would otherwise hardly read: the answer alone gives most marks away.
    """
    place = (number - TRAIN_ITEMS) % LATER_GROUP if side is Side.TRAIN and number >= TRAIN_ITEMS else None
    rng = random.Random(f"{seed}/{side.value}/{number}")
    if place == 1:
        leader = _draft(random.Random(f"{seed}/{side.value}/{number - 1}"), side, good=True)
        draft = _handed_in_elsewhere(rng, leader)
    else:
        draft = _draft(rng, side, good=place == 0)
    mark = label(rate(rng, quality(draft.answer)))
    return Item(
        id_alumno=f"{side.value}-{number:05d}",
        curso=draft.course,
        consigna=draft.wording,
        respuesta=draft.answer.text,
        nota=mark,
        feedback=comment(rng, draft.assignment, draft.course, draft.answer, mark),
        kind=draft.answer.plan.kind.value,
        asked=draft.assignment.topic,
        about=draft.about,
    )


def items(side: Side, count: int, seed: int = SEED, first: int = 0) -> Iterator[Item]:
    """Make `count` items of `side`, from number `first` on."""
    return (item(side, number, seed) for number in range(first, first + count))


@dataclass(frozen=True)
class _Draft:
    """An answer to an assignment, before it is marked."""

    assignment: Assignment
    course: str
    wording: str
    answer: Answer
    about: str


def _draft(rng: random.Random, side: Side, *, good: bool) -> _Draft:
    assignment = rng.choice(assignments())
    course = _course(rng, assignment)
    wording = rng.choice(expand(assignment.wording))
    plan = plan_for(rng, rng.randint(2 if good else 0, MAX_MARK))
    about = assignment.topic if plan.kind is Kind.ON_TOPIC else ""
    return _Draft(assignment, course, wording, write(rng, assignment, wording, plan, side), about)


def _handed_in_elsewhere(rng: random.Random, draft: _Draft) -> _Draft:
    assignment = rng.choice([other for other in assignments() if other is not draft.assignment])
    wording = rng.choice(expand(assignment.wording))
    answer = Answer(Plan(Kind.OFF_TOPIC), draft.answer.text, covered=(), slips=draft.answer.slips)
    return _Draft(assignment, _course(rng, assignment), wording, answer, draft.about)


def stratified(count: int, seed: int = SEED) -> list[Item]:
    """Return the first `count` held-out items that have all six marks equally often, as nearly as can be."""
    room = Counter({mark: count // 6 + (mark < count % 6) for mark in range(MAX_MARK + 1)})
    chosen: list[Item] = []
    for candidate in (item(Side.HELD_OUT, number, seed) for number in itertools.count()):
        if len(chosen) == count:
            break
        if room[candidate.nota]:
            room[candidate.nota] -= 1
            chosen.append(candidate)
    return chosen


def _course(rng: random.Random, assignment: Assignment) -> str:
    """Return the assignment's own course or, three times in ten, a neighbouring one.

    So the course can't be guessed from the assignment: feedback that names it right has read it.
    """
    home = COURSES.index(assignment.course)
    if rng.random() < 0.7:
        return assignment.course
    return rng.choice([COURSES[near] for near in (home - 1, home + 1) if 0 <= near < len(COURSES)])


def main() -> None:
    """Print items as JSON lines."""
    parser = argparse.ArgumentParser(description="Print made-up classroom items as JSON lines.")
    parser.add_argument("--side", choices=[side.value for side in Side], default=Side.HELD_OUT.value)
    parser.add_argument("--items", type=int, default=HELD_OUT_ITEMS)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    for made in items(Side(arguments.side), arguments.items, arguments.seed):
        print(json.dumps(asdict(made), ensure_ascii=False))


if __name__ == "__main__":
    main()
