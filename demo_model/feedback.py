"""The teacher's comment on a simulated answer: short, in Catalan, with the course and what is missing."""

from __future__ import annotations

import random
from typing import Final

from demo_model.answers import Answer, Kind
from demo_model.assignments import Assignment

_OPENINGS: Final = (
    ("Molt per sota del nivell de {course}",),
    ("Per sota del nivell de {course}", "A {course} s'espera força més"),
    ("Just acceptable per a {course}", "Just per a {course}"),
    ("Nivell esperat a {course}", "Bona feina per a {course}"),
    ("Per sobre del nivell de {course}", "Molt bona resposta per a {course}"),
    ("Excel·lent per a {course}", "Resposta excel·lent per a {course}"),
)


def comment(rng: random.Random, assignment: Assignment, course: str, answer: Answer, mark: int) -> str:
    """Return the comment that goes with `mark` (0 to 5): about 15 to 25 words."""
    opening = rng.choice(_OPENINGS[mark]).format(course=course)
    return f"{opening}: {_reason(assignment, answer)}."


def _reason(assignment: Assignment, answer: Answer) -> str:
    match answer.plan.kind:
        case Kind.OFF_TOPIC:
            return f"la resposta és fora de tema; el tema era {assignment.topic}"
        case Kind.BLANK:
            return "gairebé no hi ha resposta; escriu unes quantes frases"
        case Kind.COPY:
            return "has copiat l'enunciat; explica-ho amb paraules teves"
        case Kind.VAGUE:
            first, second = (idea.name for idea in assignment.ideas[:2])
            return f"no expliques cap idea; parla de coses com {first} o {second}"
        case Kind.ON_TOPIC:
            return _advice(assignment, answer)


def _advice(assignment: Assignment, answer: Answer) -> str:
    missing = [idea.name for place, idea in enumerate(assignment.ideas) if place not in answer.covered]
    beware = f"compte: {assignment.correction}"
    if len(missing) > 2:
        return f"només expliques una idea; afegeix-hi {missing[0]} i {missing[1]}"
    if missing:
        advice = f"et falta explicar {' i també '.join(missing)}"
        return f"{advice}; {beware}" if answer.plan.wrong else advice
    if answer.plan.wrong:
        return f"ho expliques tot, però {beware}"
    if answer.slips >= 2:
        return "hi ha totes les idees; repassa l'ortografia"
    if not answer.plan.connected:
        return "hi ha totes les idees; enllaça-les amb connectors"
    return "és completa, ben enllaçada i exacta"
