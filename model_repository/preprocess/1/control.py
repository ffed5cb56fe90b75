"""Keeping a student's text from becoming control tokens: what would, or looks as if, becomes plain words.

The tokens are those of the loaded tokenizer. A text without any comes back as it was, byte for byte. The time
taken is linear in the text's length, and does not grow with the number of tokens: all of them are one pattern
that branches where they differ, as there are over a hundred in Gemma's vocabulary.
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
_SEPARATORS = re.compile(r"[\s_\-]+")
ROUNDS = 4
"""What is left after a replacement can be a token in turn ("<<bos>bos>"), so it is looked at again; a text
with tokens nested deeper than this loses all signs that tokens are made of."""

# Signs written in HTML, JSON and addresses; names of signs in HTML follow.
_CODES = r"&#0*(\d{1,7});?|&#x0*([0-9a-f]{1,6});?|\\u([0-9a-f]{4})|(?:\\x|%)([0-9a-f]{2})"

Branches = dict[str, "Branches"]


def looks_of(token: str) -> tuple[str, bool]:
    """What ``token`` looks like in a folded text, and whether it is found with gaps in it, too.

    The separators of one with gaps are left out.
    """
    looks = token.translate(FOLDING)
    loose = sum(map(str.isalnum, looks)) >= LONG_LETTERS
    return (_SEPARATORS.sub("", looks) if loose else looks), loose


def branching(branches: Branches) -> str:
    """A pattern for what ``branches`` holds: each key and one of its own branches; "" is an end.

    Longer ones come first: "<|end|>" must not be found within "<|end|>x".
    """
    ways = "|".join(key + branching(rest) for key, rest in branches.items() if key)
    return f"(?:{ways}){'?' if '' in branches else ''}" if ways else ""


def in_words(token: str) -> str:
    """``token`` as a reader would say it: ``<start_of_turn>`` as "start of turn"."""
    return " ".join(re.findall(r"[^\W_]+", token)) or "token"


class Neutralizer:
    """Replaces every control token, and every look-alike of one, by words."""

    def __init__(self, control_tokens: Iterable[str]) -> None:
        self._words: dict[str, str] = {}
        tree: Branches = {}
        for token in sorted(set(filter(str.strip, control_tokens))):
            looks, loose = looks_of(token)
            if looks:
                self._words.setdefault(looks, in_words(token))
                place = tree
                for number, char in enumerate(looks):
                    place = place.setdefault((_GAP if loose and number else "") + re.escape(char), {})
                place[""] = {}
        signs = sorted({char for looks in self._words for char in looks if not char.isalnum()})
        self._names = {
            name.rstrip(";").lower(): char for name, char in html.entities.html5.items() if char in signs
        }
        names = "|".join(sorted(self._names, key=len, reverse=True)) or r"(?!)"
        self._tokens = re.compile(branching(tree) or r"(?!)")
        self._signs = re.compile(f"[{re.escape(''.join(signs))}]" if signs else r"(?!)")
        self._spelled = re.compile(f"{_CODES}|&({names});?")

    def __call__(self, text: str) -> tuple[str, bool]:
        """The text without control tokens, and whether it had any."""
        replaced = self._replace(text, self._tokens)
        if replaced is None:
            return text, False
        for _ in range(ROUNDS - 1):
            text, replaced = replaced, self._replace(replaced, self._tokens)
            if replaced is None:
                return text, True
        if self._tokens.search(self._decode(replaced.translate(FOLDING))):
            replaced = self._replace(replaced, self._signs) or replaced
        return replaced, True

    def _decode(self, looks: str) -> str:
        return self._spelled.sub(self._char, looks)

    def _char(self, match: re.Match[str]) -> str:
        """What a spelling stands for, if that is one character; else the spelling."""
        decimal, *hexadecimal, name = match.groups()
        if name:
            return self._names[name]
        code = int(decimal) if decimal else int("".join(filter(None, hexadecimal)), 16)
        char = chr(code).translate(FOLDING) if code <= 0x10FFFF else ""
        return char if len(char) == 1 else match[0]

    def _replace(self, text: str, pattern: re.Pattern[str]) -> str | None:
        """``text`` with words, or a blank, for what ``pattern`` finds. None where it finds nothing."""
        looks = text.translate(FOLDING)
        decoded = self._decode(looks)
        if pattern.search(decoded) is None:
            return None
        widths = [len(char.translate(FOLDING)) for char in text]
        # Where in the text each folded character stands, and where in the folded text each decoded one.
        places = list(chain.from_iterable([place] * width for place, width in enumerate(widths)))
        begins: list[int] = []
        done = 0
        for match in self._spelled.finditer(looks):
            if len(self._char(match)) == 1:
                begins += range(done, match.start() + 1)
                done = match.end()
        begins += range(done, len(looks) + 1)
        pieces: list[str] = []
        done = 0
        for match in pattern.finditer(decoded):
            start, end = places[begins[match.start()]], places[begins[match.end()] - 1] + 1
            while end < len(text) and not widths[end]:
                end += 1  # what is invisible behind the token belongs to its disguise
            words = self._words_for(match[0])
            before, after = text[done:start], text[end : end + 1]
            glue = " " if (before or "".join(pieces[-2:]))[-1:].isalnum() else ""
            pieces += before, glue, words, " " if after.isalnum() else ""
            done = end
        return "".join(pieces) + text[done:]

    def _words_for(self, found: str) -> str:
        return self._words.get(found) or self._words.get(_SEPARATORS.sub("", found), " ")
