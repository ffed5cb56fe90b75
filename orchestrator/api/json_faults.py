"""Where a text stops being JSON: line, column and item, and a reason that says what to do."""

import json
import re
from dataclasses import dataclass
from typing import Final

_DECODER: Final = json.JSONDecoder()
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_WORD: Final = re.compile(r"[A-Za-z]{1,20}")
_CONTROLS: Final = {
    "\n": r"a line break inside a text must be written \n",
    "\r": r"a line break inside a text must be written \n",
    "\t": r"a tab inside a text must be written \t",
}
# What the parser says (its beginning), and what we say; the first that fits.
_REASONS: Final = (
    ("unexpected end", "it ends in the middle; was it cut off on the way?"),
    ("not UTF-8", "the bytes here are not UTF-8; save the file as UTF-8 and send it again"),
    ("trailing comma", "there is a comma too many; take it away"),
    ("unexpected content after", "the JSON has ended before this; send one value, nothing behind it"),
    ("number with leading zero", "a number can't begin with 0; write it in quotes to keep the 0"),
    ("no digit", "that is no number; write it with digits and a point, or in quotes"),
    ("depth limit", "lists or objects lie too deep in each other"),
    ("invalid escaped", r"a backslash in a text must be written twice (\\)"),
    ("unexpected character, expected ':'", "a colon is missing after the name"),
    ("unexpected character, expected ','", r"here a comma is missing, or a \ before a quote in a text"),
    ("unexpected character, expected a string key", "a name in double quotes is missing here"),
    ("unexpected character, expected a JSON value", "a value is missing here: a text in quotes, or null"),
)  # fmt: skip
_QUOTES: Final = "'‘’“”„«»`"


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence, and as data: 1-based line and column, 0-based index of the item (None outside of any)."""

    sentence: str
    place: dict[str, int | None]


def fault(text: str, pos: int, problem: str) -> Fault:
    """The fault at `pos`, where the parser that read `text` up to there met `problem`."""
    # Old Macs end lines with \r alone, and editors count these, too.
    line = text.count("\n", 0, pos) + text.count("\r", 0, pos) - text.count("\r\n", 0, pos) + 1
    column = pos - max(text.rfind("\n", 0, pos), text.rfind("\r", 0, pos))
    index = _item_at(text, pos)
    item = f", item {index}" if index is not None else ""
    reason = _reason(text, pos, problem)
    end = "" if reason.endswith("?") else "."
    place = {"line": line, "column": column, "index": index}
    return Fault(f"line {line}, column {column}{item}: {reason}{end}", place)


def _reason(text: str, pos: int, problem: str) -> str:
    char = text[pos : pos + 1]
    if problem.startswith("unexpected control character"):
        return _CONTROLS.get(char, "a control character inside a text must be written as \\u and four digits")
    if problem.startswith(("unexpected character", "no digit", "invalid literal")):
        found = _WORD.match(text, pos)
        word = found[0].lower() if found else ""
        if word == "nan":
            return 'NaN is not a JSON value; write null or "" in its place. Was it an empty cell?'
        if word in {"infinity", "inf"}:
            return "Infinity is not a JSON value; write null or a text in quotes in its place"
        if word in {"none", "null", "undefined", "nil"}:
            return "JSON writes null where there is nothing: no None, NULL or undefined"
        if word in {"true", "false"}:
            return "JSON writes true and false in small letters"
        if char and char in _QUOTES:
            return 'texts and names stand in straight double quotes ("), not in others'
        if char == "/":
            return "JSON has no comments; take them away"
    return next((said for beginning, said in _REASONS if problem.startswith(beginning)), "this is not JSON")


def _item_at(text: str, pos: int) -> int | None:
    """The item in which `pos` lies. What comes before `pos` is JSON, so the standard library can read it."""
    before = text[:pos]
    start = items_start(before)
    if start is None:
        return None
    index, place = 0, _skip(before, start)
    if before[place : place + 1] == "]":
        return None
    while True:
        try:
            _, place = _DECODER.raw_decode(before, place)
        except (ValueError, RecursionError):
            return index
        place = _skip(before, place)
        if before[place : place + 1] != ",":
            # Behind a whole item: what stands here may be the next one, or what should not be there.
            between = place == len(before) and text[pos : pos + 1] == "{"
            return None if place < len(before) else index + between
        index, place = index + 1, _skip(before, place + 1)


def items_start(text: str) -> int | None:
    """Where the first item of `items`, or of a bare list, begins; None where there is no such list."""
    place = _skip(text, 0)
    if text[place : place + 1] == "[":
        return place + 1
    try:
        while text[place : place + 1] in {"{", ","}:
            key, place = _DECODER.raw_decode(text, _skip(text, place + 1))
            place = _skip(text, place) + 1  # the colon
            place = _skip(text, place)
            if key == "items" and text[place : place + 1] == "[":
                return place + 1
            _, place = _DECODER.raw_decode(text, place)
            place = _skip(text, place)
    except (ValueError, RecursionError):
        pass
    return None


def _skip(text: str, place: int) -> int:
    """The place behind the blanks that may stand between any two parts of JSON."""
    found = _BLANKS.match(text, place)
    return found.end() if found else place
