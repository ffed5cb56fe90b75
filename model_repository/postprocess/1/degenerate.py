"""Whether feedback is a loop rather than sentences. Pure, linear, for texts of a few hundred characters."""

from __future__ import annotations

import re
import zlib

# One character again and again ("0000000000"); of dots and blanks a few more.
_CHARACTER = re.compile(r"([^\W\d_])\1{7,}|(?<!\d)(\d)\2{9,}|([^.\s])\3{11,}|\.{25,}|\s{20,}")
# "602.214.076.000.000.000": groups of digits may be equal.
_LARGE_NUMBER = re.compile(r"(?<![\d.])[1-9]\d{0,2}(?:[. ]\d{3}){2,9}(?!\d)")
# A piece again and again: "RespostaRespostaResposta…", "bé, bé, bé, bé, bé, ".
_PIECE = re.compile(r"(.{2,60}?)\1{3,}")
_MIN_REPEATED_CHARS = 16
# A longer piece three times in a row.
_PHRASE = re.compile(r"(.{12,120}?)\1{2,}")
_MAX_WORD_CHARS = 60
_LONG_WORD_CHARS = 15
_WORD = re.compile(r"[^\W\d_]+")
_RUN_WORDS = 3
_MIN_RUNS = 8
_MIN_DIFFERENT_RUNS = 0.6
_MIN_COMPRESSED_CHARS = 200
_MIN_COMPRESSION = 0.3
_MAX_CHARS = 4000  # longer than any that fits into the tokens of an answer


def is_degenerate(feedback: str) -> bool:
    """Whether ``feedback`` loops, or has no letters at all."""
    text = feedback[:_MAX_CHARS].lower()
    words = _WORD.findall(text)
    if not words or _CHARACTER.search(text):
        return True
    text = _LARGE_NUMBER.sub("1", " ".join(text.split()))
    if max(map(len, words)) > _MAX_WORD_CHARS:
        return True
    pieces = text.split(" ")
    longest = max(map(len, pieces))
    # Most feedback is done here: what repeats within a text repeats words or numbers, or makes a long one.
    repeated = max(len(words) - len(set(words)), len(pieces) - len(set(pieces)) - 2)
    if repeated < 2 and longest <= _LONG_WORD_CHARS:
        return False
    if _PHRASE.search(text) or any(len(m[0]) >= _MIN_REPEATED_CHARS for m in _PIECE.finditer(text)):
        return True
    runs = list(zip(*(words[start:] for start in range(_RUN_WORDS)), strict=False))
    if len(runs) >= _MIN_RUNS and len(set(runs)) < _MIN_DIFFERENT_RUNS * len(runs):
        return True
    content = text.encode("utf-8", "replace")
    compressed = len(zlib.compress(content))
    return len(text) >= _MIN_COMPRESSED_CHARS and compressed < _MIN_COMPRESSION * len(content)
