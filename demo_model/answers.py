"""Simulated student answers: a plan says what an answer is to contain, `write` turns it into text."""

from __future__ import annotations

import enum
import functools
import random
import re
from dataclasses import dataclass

from demo_model.assignments import Assignment, assignments, common
from demo_model.phrases import Side, as_sentence, clauses
from demo_model.slips import with_slips


class Kind(enum.Enum):
    """What sort of answer it is; all but ON_TOPIC cover no key idea."""

    ON_TOPIC = "on topic"
    VAGUE = "vague"
    OFF_TOPIC = "off topic"
    COPY = "copied prompt"
    BLANK = "blank-ish"


@dataclass(frozen=True)
class Plan:
    """What an answer is to contain: counts of idea and filler sentences, and of misspelt words."""

    kind: Kind
    ideas: int = 0
    connected: bool = False
    concluded: bool = False
    wrong: bool = False
    copied: bool = False
    slips: int = 0
    fillers: int = 0
    run_on: bool = False


@dataclass(frozen=True)
class Answer:
    """A written answer and what it really contains; `covered` are places in `Assignment.ideas`, ascending."""

    plan: Plan
    text: str
    covered: tuple[int, ...]
    slips: int


_clauses = functools.cache(clauses)


def write(rng: random.Random, assignment: Assignment, wording: str, plan: Plan, side: Side) -> Answer:
    """Write an answer to `assignment`, as it was worded, from clauses of `side` only."""
    covered = tuple(sorted(rng.sample(range(len(assignment.ideas)), plan.ideas)))
    body = _body(rng, assignment, plan, covered, side)
    for _ in range(plan.fillers):
        body.insert(rng.randint(0, len(body)), _pick(rng, common().filler, side))
    if plan.connected:
        body = _connect(rng, body)
    if plan.copied or plan.kind is Kind.COPY:
        body.insert(0, _pick(rng, common().copy.replace("<consigna>", _first_sentence(wording)), side))
    if plan.concluded:
        body.append(_pick(rng, common().conclusion, side))
    text = ", ".join(body) if plan.run_on else _paragraphs(rng, [as_sentence(clause) for clause in body])
    text, slips = with_slips(rng, text, plan.slips)
    return Answer(plan, text, covered, slips)


def _body(
    rng: random.Random, assignment: Assignment, plan: Plan, covered: tuple[int, ...], side: Side
) -> list[str]:
    match plan.kind:
        case Kind.OFF_TOPIC:
            return _off_topic(rng, assignment, side)
        case Kind.BLANK:
            return [_pick(rng, common().blank, side)]
        case Kind.VAGUE:
            count = rng.randint(1, 2)
            phrase = common().vague.replace("<tema>", assignment.topic)
            return [_pick(rng, phrase, side) for _ in range(count)]
        case Kind.COPY:
            return []
        case Kind.ON_TOPIC:
            body = [_pick(rng, assignment.ideas[place].phrase, side) for place in covered]
            if rng.random() < 0.2:
                rng.shuffle(body)
            if plan.wrong:
                body.insert(rng.randint(0, len(body)), _pick(rng, assignment.error, side))
            return body


def _off_topic(rng: random.Random, assignment: Assignment, side: Side) -> list[str]:
    """Return either chatter or a good answer to another assignment: the words alone do not earn a mark."""
    count = rng.randint(1, 4)
    if rng.random() < 0.5:
        return [_pick(rng, phrase, side) for phrase in rng.sample(common().chatter, count)]
    other = rng.choice([candidate for candidate in assignments() if candidate is not assignment])
    return [_pick(rng, idea.phrase, side) for idea in rng.sample(other.ideas, count)]


def _paragraphs(rng: random.Random, sentences: list[str]) -> str:
    """Join the sentences, now and then with a line break somewhere in the middle."""
    if len(sentences) < 3 or rng.random() < 0.75:
        return " ".join(sentences)
    cut = rng.randrange(1, len(sentences))
    return " ".join(sentences[:cut]) + rng.choice(("\n", "\n\n")) + " ".join(sentences[cut:])


def _connect(rng: random.Random, body: list[str]) -> list[str]:
    """Put a connector before most clauses, a first and a last one at the ends."""
    words = common()
    ends = {0: words.first, len(body) - 1: words.last} if len(body) > 1 else {}
    connected = []
    for place, clause in enumerate(body):
        if place in ends or rng.random() < 0.7:
            connected.append(f"{rng.choice(ends.get(place, words.next))} {clause}")
        else:
            connected.append(clause)
    return connected


def _first_sentence(wording: str) -> str:
    return re.split(r"[.?:]", wording, maxsplit=1)[0]


def _pick(rng: random.Random, phrase: str, side: Side) -> str:
    return rng.choice(_clauses(phrase, side))
