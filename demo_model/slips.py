"""Spelling slips that Catalan students make: accents, h, b and v, s and ss, the l·l, lost letters."""

from __future__ import annotations

import random
import re
from typing import Final

_RULES: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[àá]", "a"),
        (r"[èé]", "e"),
        (r"[íï]", "i"),
        (r"[òó]", "o"),
        (r"[úü]", "u"),
        (r"l·l", "l.l"),
        (r"l·l", "ll"),
        (r"^h", ""),
        (r"ss", "s"),
        (r"(?<=[aeiou])s(?=[aeiou])", "ss"),
        (r"ç", "s"),
        (r"v", "b"),
        (r"b(?=[aeiou])", "v"),
        (r"g(?=[ei])", "j"),
        (r"qu(?=[ei])", "k"),
        (r"ny", "ñ"),
        (r"tge", "tje"),
        (r"^l'", "la "),
        (r"^d'", "de "),
        (r"^amb$", "am"),
        (r"^perquè$", "per que"),
        (r"(?<=[aei])r$", ""),
        (r"o(?=[rsnlt]\w)", "u"),
    )
)
_WORD: Final = re.compile(r"(?:[ldmnst]')?[^\W\d_]+(?:·[^\W\d_]+)*", re.IGNORECASE)


def with_slips(rng: random.Random, text: str, wanted: int) -> tuple[str, int]:
    """Return `text` with at most `wanted` misspelt words, and how many there are."""
    words = list(_WORD.finditer(text))
    rng.shuffle(words)
    changed: dict[int, str] = {}
    for word in words:
        if len(changed) == wanted:
            break
        misspelt = _misspell(rng, word[0])
        if misspelt != word[0]:
            changed[word.start()] = misspelt
    rewritten = _WORD.sub(lambda word: changed.get(word.start(), word[0]), text)
    return rewritten, len(changed)


def _misspell(rng: random.Random, word: str) -> str:
    fitting = [(rule, replacement) for rule, replacement in _RULES if rule.search(word)]
    if fitting and rng.random() < 0.85:
        rule, replacement = rng.choice(fitting)
        return rule.sub(replacement, word, count=1)
    if len(word) < 5:
        return word
    place = rng.randrange(2, len(word) - 1)
    return word[:place] + word[place + 1 :]
