"""Text that no spreadsheet takes for a formula, whichever character it splits the file's lines at.

A reader that splits at another character than the writer did finds cells that begin in the middle of ours,
and one that loses the quotes finds rows that begin behind a line break in a cell. So a sign that could begin
a formula is looked for behind each of these. https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re
from typing import Final

GUARD: Final = "'"
# Ordinary, full-width, small, raised and lowered ones: some readers take them for the ordinary ones.
_SIGNS: Final = "=+\\-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋﬩−"
# At which a reader may begin a new cell: separators, and what some readers take for the end of a line.
_BREAKS: Final = r",;|\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"
# What a reader may drop from the beginning of a cell: quotes, blanks, control and invisible characters.
_DROPPED: Final = (
    rf'(?:(?![{_BREAKS}])["\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f'
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff])*"
)
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?")
# A space separates cells for few readers, and stands in every text: there it takes a sign with something
# close behind it that is no number.
_BEHIND_SPACE: Final = rf'[ ]"*(?=\'*[{_SIGNS}]+\S)(?![+-][0-9]+(?:[.,][0-9]+)?(?:[ ]|$))'
# So does a colon. ":-D" is a smiley.
_NUMBER_OR_SMILEY: Final = r"[+-][0-9]+(?:[.,][0-9]+)?(?:\W|$)|-\w\b(?![|(!])"
_BEHIND_COLON: Final = rf'[:]"*(?=\'*[{_SIGNS}]+[\w(])(?!{_NUMBER_OR_SMILEY})'
_PLACES: Final = rf"(?:^|[{_BREAKS}]){_DROPPED}(?='*[{_SIGNS}])|{_BEHIND_SPACE}|{_BEHIND_COLON}"
_BEGINNINGS: Final = re.compile(_PLACES)
# Quotes in front of a sign don't hide it above, so a place is found again behind its guard.
_GUARDED: Final = re.compile(f"((?:{_PLACES})){GUARD}")


def guarded(text: str) -> str:
    """`text` with a `'` in front of every sign that could begin a formula; a number stays as it is.

    Takes time in proportion to the length of `text`.
    """
    if _NUMBER.fullmatch(text):
        return text
    return _BEGINNINGS.sub(rf"\g<0>{GUARD}", text)


def unguarded(text: str) -> str:
    """What ``guarded`` made ``text`` of; ``text`` itself where it made it of nothing else."""
    plain = _GUARDED.sub(r"\1", text)
    return plain if plain != text and guarded(plain) == text else text
