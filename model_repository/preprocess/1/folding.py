"""What a text looks like to a reader, as plain lower-case characters: disguises fall. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Invisible, though Unicode counts them as letters, symbols or spaces.
INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")

# What compatibility decomposition (NFKD) doesn't fold: other letters and signs of the same looks.
LOOK_ALIKES = {
    **dict.fromkeys("‹〈〈⟨❮❰˂ᐸ⧼≺⟪《", "<"),
    **dict.fromkeys("›〉〉⟩❯❱˃ᐳ⧽≻⟫》", ">"),
    **dict.fromkeys("∣│┃❘ǀ￨", "|"),
    **dict.fromkeys("【〔⟦", "["),
    **dict.fromkeys("】〕⟧", "]"),
    **dict.fromkeys("‐‑‒–—−", "-"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("‿⁀", "_"),
    **dict.fromkeys("’‘ʼ‛", "'"), **dict.fromkeys("“”„‟", '"'),
    **dict.fromkeys("аαɑ", "a"), **dict.fromkeys("Вβ", "b"), **dict.fromkeys("сϲ", "c"),
    **dict.fromkeys("ԁ", "d"), **dict.fromkeys("еεє", "e"), **dict.fromkeys("ſ", "s"),
    **dict.fromkeys("ɡ", "g"), **dict.fromkeys("һ", "h"), **dict.fromkeys("іıι", "i"),
    **dict.fromkeys("ј", "j"), **dict.fromkeys("кκ", "k"), **dict.fromkeys("ӏ", "l"),
    **dict.fromkeys("м", "m"), **dict.fromkeys("пηո", "n"), **dict.fromkeys("оοօσ", "o"),
    **dict.fromkeys("рρ", "p"), **dict.fromkeys("г", "r"), **dict.fromkeys("ѕ", "s"),
    **dict.fromkeys("тτ", "t"), **dict.fromkeys("υս", "u"), **dict.fromkeys("νѵ", "v"),
    **dict.fromkeys("ԝω", "w"), **dict.fromkeys("хχ", "x"), **dict.fromkeys("уγ", "y"),
}  # fmt: skip

MAX_REMEMBERED = 20_000
MAX_FOLDED = 4
"""A few characters stand for phrases of up to 18: what comes later in those disguises nothing, and would make
a text as many times longer."""


class Folding(dict[int, str]):
    """A table for ``str.translate``: each character as what it looks like, invisible ones as nothing.

    Accents and other marks are left out, so "instrucció" reads "instruccio" and "＜" reads "<".
    """

    def __missing__(self, code: int) -> str:
        folded = fold(chr(code))
        if len(self) < MAX_REMEMBERED:
            self[code] = folded
        return folded


def fold(char: str) -> str:
    """One character as what it looks like; empty where nothing is seen."""
    seen = []
    for part in unicodedata.normalize("NFKD", char):
        if part in INVISIBLE or (invisible(part) and part not in "\t\n\r"):
            continue
        seen.append(LOOK_ALIKES.get(part.lower(), LOOK_ALIKES.get(part, part.lower())))
    return "".join(seen)[:MAX_FOLDED]


def invisible(char: str) -> bool:
    """Whether ``char`` is a mark on another one, a format or control character, or nothing at all."""
    return unicodedata.category(char) in {"Mn", "Me", "Cf", "Cc", "Cn", "Cs"}


FOLDING = Folding()
_WORD = re.compile(r"\w+")
_BLANKS = re.compile(r"\s{2,}|[^\S\n ]")
_LONG_GAP = re.compile(r"\W{9,}")
_LONG_WORD = re.compile(r"\b(\w{24})\w+")


@dataclass(frozen=True, slots=True)
class Seen:
    """A text as it ``looks``, and its words."""

    looks: str
    words: list[str]

    @classmethod
    def of(cls, text: str) -> Seen:
        looks = text.translate(FOLDING)
        return cls(looks, _WORD.findall(looks))


def shortened(looks: str) -> str:
    """A folded text whose gaps have at most 8 characters and whose words at most 24; "_" is a gap, too.

    A pattern of a few words and gaps reaches no further in it than a fixed number of characters.
    """
    text = _BLANKS.sub(lambda gap: "\n" if "\n" in gap[0] else " ", looks.replace("_", " "))
    return _LONG_WORD.sub(r"\1", _LONG_GAP.sub(_ends_of_gap, text))


def _ends_of_gap(match: re.Match[str]) -> str:
    gap = match[0]
    return gap[:4] + ("\n" if "\n" in gap else " ") + gap[-3:]
