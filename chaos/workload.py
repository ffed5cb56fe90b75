"""What a round's clients send, and what each item must come back as. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

PROMPTS = (("3r ESO", "Explica la pluja."), ("1r ESO", "Descriu el teu poble."), ("4t ESO", "Opina."))
MIN_ITEMS, MAX_ITEMS = 15, 80
MAX_DELAY_MS = 400
POISON_SHARE = 0.1
"""Of rounds: a poison item costs three restarts of Triton."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One item's only right result. ``nota`` and ``feedback`` are None where it can't be graded."""

    id_alumno: str
    nota: int | None
    feedback: str | None


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job: the items as they are sent, and what must come back, by index."""

    name: str
    items: tuple[dict[str, str], ...]
    expected: tuple[Expected, ...]
    priority: str
    poison: int

    @property
    def failures(self) -> int:
        return sum(entry.nota is None for entry in self.expected)


def make_plans(number: int, rng: random.Random) -> list[JobPlan]:
    """The jobs of round ``number``; at most one item of the round kills the model."""
    poisoned = rng.randrange(3) if rng.random() < POISON_SHARE else None
    return [_plan(f"R{number}J{job}", rng, poison=job == poisoned) for job in range(rng.randint(3, 4))]


def _plan(name: str, rng: random.Random, *, poison: bool) -> JobPlan:
    count = rng.randint(MIN_ITEMS, MAX_ITEMS)
    kinds = rng.choices(["good", "blank", "garbled"], weights=[40, 1, 1], k=count)
    if poison:
        kinds[rng.randrange(count)] = "poison"
    items, expected = [], []
    for index, kind in enumerate(kinds):
        word, nota = f"{name}I{index}", rng.randint(0, 5)
        curso, consigna = rng.choice(PROMPTS)
        text = f"{word} [[nota={nota}]] [[delay_ms={rng.randint(0, MAX_DELAY_MS)}]]"
        text = {"blank": "  ", "garbled": f"{text} [[garble]]", "poison": f"{word} [[die]]"}.get(kind, text)
        student = f"A-{word}"
        items.append({"id_alumno": student, "curso": curso, "consigna": consigna, "respuesta": text})
        # The scripted model repeats a text's first word: a result shows whose text it was made from.
        good = kind == "good"
        expected.append(Expected(student, nota if good else None, f"Resposta: {word}" if good else None))
    priority = rng.choice(["interactive", "normal", "bulk"])
    return JobPlan(name, tuple(items), tuple(expected), priority, kinds.count("poison"))
