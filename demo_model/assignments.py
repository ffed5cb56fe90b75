"""The assignments of `classroom/*.toml`: what is asked, in which course, and what a good answer covers."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

COURSES: Final = ("1r ESO", "2n ESO", "3r ESO", "4t ESO")

_CLASSROOM: Final = Path(__file__).parent / "classroom"


@dataclass(frozen=True)
class Idea:
    """One thing that a complete answer explains; `phrase` holds the ways to say it."""

    name: str
    phrase: str


@dataclass(frozen=True)
class Assignment:
    """One assignment of a course, with its key ideas in the order in which a good answer gives them."""

    course: str
    wording: str
    topic: str
    ideas: tuple[Idea, ...]
    error: str
    correction: str


@dataclass(frozen=True)
class Common:
    """What serves every assignment: connectors, and phrases with <tema> or <consigna> to be filled in."""

    first: tuple[str, ...]
    next: tuple[str, ...]
    last: tuple[str, ...]
    filler: str
    vague: str
    conclusion: str
    blank: str
    copy: str
    chatter: tuple[str, ...]


@functools.cache
def assignments() -> tuple[Assignment, ...]:
    """Return every assignment, course by course."""
    files = sorted(_CLASSROOM.glob("*_eso.toml"))
    return tuple(_assignment(table) for file in files for table in _read(file)["consigna"])


@functools.cache
def common() -> Common:
    """Return the connectors and phrases that serve every assignment."""
    table = _read(_CLASSROOM / "generic.toml")
    connectors, phrases = table["connectors"], table["frases"]
    return Common(
        first=tuple(connectors["primer"]),
        next=tuple(connectors["seguit"]),
        last=tuple(connectors["darrer"]),
        filler=phrases["farciment"],
        vague=phrases["vague"],
        conclusion=phrases["conclusio"],
        blank=phrases["blanc"],
        copy=phrases["copia"],
        chatter=tuple(phrases["xerrameca"]),
    )


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _assignment(table: dict[str, Any]) -> Assignment:
    if table["curs"] not in COURSES:
        raise ValueError(f"unknown course {table['curs']!r}")
    return Assignment(
        course=table["curs"],
        wording=table["text"],
        topic=table["tema"],
        ideas=tuple(Idea(idea["nom"], idea["frase"]) for idea in table["idea"]),
        error=table["error"],
        correction=table["correccio"],
    )
