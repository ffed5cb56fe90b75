"""Phrases with alternatives, and the wall between the training side and the held-out side.

"{El sol|La calor} escalfa {l'aigua|el mar}" stands for four clauses. Each clause belongs to one side for
good, decided by a hash of its text, so that no held-out answer repeats a training sentence.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
import re
from typing import Final

_ALTERNATIVES: Final = re.compile(r"\{([^{}]*)\}")
_HELD_OUT_ONE_IN: Final = 5


class Side(enum.Enum):
    """Which of the two data sets a clause may appear in."""

    TRAIN = "train"
    HELD_OUT = "held-out"


def side_of(clause: str) -> Side:
    """Return the side that `clause` belongs to: about one clause in five is held out."""
    digest = hashlib.blake2b(clause.casefold().encode(), digest_size=4).digest()
    return Side.TRAIN if int.from_bytes(digest, "big") % _HELD_OUT_ONE_IN else Side.HELD_OUT


def expand(phrase: str) -> list[str]:
    """Return every clause that `phrase` stands for, with tidy spaces and commas."""
    pieces = _ALTERNATIVES.split(phrase)  # literal text at even places, alternatives at odd ones
    choices = [piece.split("|") if i % 2 else [piece] for i, piece in enumerate(pieces)]
    return list(dict.fromkeys(_tidy("".join(combination)) for combination in itertools.product(*choices)))


def clauses(phrase: str, side: Side) -> tuple[str, ...]:
    """Return the clauses of `phrase` that may be used on `side`; there is always at least one."""
    found = tuple(clause for clause in expand(phrase) if side_of(clause) is side)
    if not found:
        raise ValueError(f"no {side.value} clause in {phrase!r}: give it more alternatives")
    return found


def as_sentence(clause: str) -> str:
    """Return `clause` with a capital letter and, unless it already ends a sentence, a full stop."""
    stop = "" if clause.endswith((".", "!", "?")) else "."
    return clause[0].upper() + clause[1:] + stop


def _tidy(text: str) -> str:
    return re.sub(r"\s+([,.:;])", r"\1", re.sub(r"\s+", " ", text)).replace(",,", ",").strip()
