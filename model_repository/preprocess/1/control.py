"""Keeping a student's text from becoming control tokens: what would, or looks as if, becomes plain words.

The tokens are those of the loaded tokenizer. A text without any comes back as it was, byte for byte.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Iterable
from itertools import chain

from folding import FOLDING

# A long token is one with gaps in it, too; a short one ("<s>") is then ordinary text.
LONG_LETTERS = 6
_GAP = r"[\s_\-]*"
_SEPARATOR = re.compile(r"[\s_\-]")
_MAX_ROUNDS = 8


def spellings(sign: str) -> str:
    """A pattern for a sign and its ways to be written in HTML, JSON and addresses."""
    code = ord(sign)
    ways = [
        re.escape(sign),
        f"&#0*{code};?",
        f"&#x0*{code:x};?",
        f"\\\\u00{code:02x}",
        f"\\\\x{code:02x}",
        f"%{code:02x}",
    ]
    names = [name for name, char in html.entities.html5.items() if char == sign and name.islower()]
    ways += [f"&{name}" for name in sorted(names, reverse=True)]  # "lt;" before "lt"
    return f"(?:{'|'.join(ways)})"


def token_pattern(token: str) -> str:
    """A pattern that finds ``token`` and what looks like it in a folded text."""
    looks = token.translate(FOLDING)
    loose = sum(map(str.isalnum, looks)) >= LONG_LETTERS
    if loose:
        looks = _SEPARATOR.sub("", looks)
    return (_GAP if loose else "").join(char if char.isalnum() else spellings(char) for char in looks)


def in_words(token: str) -> str:
    """``token`` as a reader would say it: ``<start_of_turn>`` as "start of turn"."""
    return " ".join(re.findall(r"[^\W_]+", token)) or "token"


class Neutralizer:
    """Replaces every control token, and every look-alike of one, by words."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        # The longest first: "<|end|>" must not be found within "<|end|>x".
        tokens = sorted(set(filter(str.strip, control_tokens)), key=lambda token: (-len(token), token))
        self._words = [in_words(token) for token in tokens]
        self._pattern = re.compile("|".join(f"({token_pattern(token)})" for token in tokens) or r"(?!)")

    def __call__(self, text: str) -> tuple[str, bool]:
        """The text without control tokens, and whether it had any."""
        found = False
        # What is left after a replacement can be a token in turn ("<<bos>bos>").
        for _ in range(_MAX_ROUNDS):
            replaced = self._replace(text)
            if replaced is None:
                break
            text, found = replaced, True
        return text, found

    def _replace(self, text: str) -> str | None:
        looks = text.translate(FOLDING)
        if self._pattern.search(looks) is None:
            return None
        widths = [len(char.translate(FOLDING)) for char in text]
        places = list(chain.from_iterable([place] * width for place, width in enumerate(widths)))
        pieces: list[str] = []
        done = 0
        for match in self._pattern.finditer(looks):
            if not match.group():
                continue
            start, end = places[match.start()], places[match.end() - 1] + 1
            while end < len(text) and not widths[end]:
                end += 1  # what is invisible behind the token belongs to its disguise
            words = self._words[(match.lastindex or 1) - 1]
            before, after = text[done:start], text[end : end + 1]
            glue = " " if (before or "".join(pieces[-2:]))[-1:].isalnum() else ""
            pieces += before, glue, words, " " if after.isalnum() else ""
            done = end
        return "".join(pieces) + text[done:]
