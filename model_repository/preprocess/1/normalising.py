"""One form for all texts that look the same, and what counts as blank. Pure, standard library alone, linear.

The orchestrator uses this very file, too (a link in its folder), so both have one definition of blank.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby

DAMAGED = "\ufffd"
"""What stands where a character was lost, before the text came to us."""

MAX_MARKS = 32
"""More accents and other marks on one letter are no text. Sorting very many would take quadratic time."""
_MANY_MARKS = 13  # so many, each decomposed, are still no more than MAX_MARKS

# Always gone: control, format and filler characters. Those that may be part of an emoji come later.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c"
    "\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e001f\U000e0080-\U000e0fff"
)
_SPACES = "\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u2800"
_OPENED = {
    **{char: unicodedata.normalize("NFKC", char) for char in "ﬀﬁﬂﬃﬄﬅﬆĲĳǄǅǆǇǈǉǊǋǌǱǲǳ"},
    "ŀ": "l·", "Ŀ": "L·", "…": "...", "‥": "..", "․": ".", "\u2010": "-", "\u2011": "-", "\u00b5": "μ",
}  # fmt: skip
_REPLACED = re.compile(f"[{_INVISIBLE}{_SPACES}{''.join(_OPENED)}]")
_IS_SPACE = re.compile(f"[{_SPACES}]")

_EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_ONE_EMOJI = f"[{_EMOJI}][\U0001f3fb-\U0001f3ff]?[\ufe0e\ufe0f]?"
# Joiners, variation selectors and tags: kept within a sequence (the first three), gone elsewhere.
_JOINERS = re.compile(
    f"((?:\U0001f3f4[\U000e0020-\U000e007e]++\U000e007f)|(?:[0-9#*]\ufe0f?\u20e3)"
    f"|(?:{_ONE_EMOJI}(?:\u200d{_ONE_EMOJI})*+))|[\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]"
)
_HAS_JOINERS = re.compile("[\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]")


def _ranges(codes: Iterable[int], gap: int) -> str:
    """Ascending ``codes`` as ranges of a character class, those with ``gap`` or fewer between them as one.

    One by one they would be looked at one after the other for each character of a text.
    """
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code - ranges[-1][1] <= gap + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


_COMBINING = [code for code in range(0x300, 0x1E950) if unicodedata.combining(chr(code))]
_MARKS = _ranges(_COMBINING, gap=0)
_MARKED = re.compile(f"[^{_MARKS}]?[{_MARKS}]{{{_MANY_MARKS},}}+")
# Quicker, and enough for most texts: few ranges, without those of whole scripts that have no marks.
_NEAR_MARKS = _ranges(_COMBINING, gap=256)
_MAY_BE_MARKED = re.compile(f"[{_NEAR_MARKS}]{{{_MANY_MARKS}}}")
_STRETCH = re.compile(f"[^{_NEAR_MARKS}]?[{_NEAR_MARKS}]{{{_MANY_MARKS},}}+")
_DOTLESS_I = re.compile("\u0131(?=[\u0316-\u0333]*+[\u0300-\u0314])")

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_L_DOT_L = re.compile("(?<=[lL])[\u2219\u22c5\u2027\u2022\u30fb\uff65\u2e31\ua78f\u1427\u16eb](?=[lL])")
_FILLERS = r"._\-=*·~#•–—―─━"
_FILLER_RUN = re.compile(rf"([{_FILLERS}])(?: ?\1){{3,}}+")
_BLANK_LINES = re.compile(r"\n{3,}+")
_MANY_SPACES = re.compile(" {2,}+")
_SENTENCES = re.compile(r"[^.!?\n]*+(?:[.!?\n]++ ?|\Z)")
_WORDS = re.compile(r"[^ \n]*+(?:[ \n]|\Z)")
MIN_REPEATED = 8
"""A word or sentence so often in a row is filler."""
_REPEATS_KEPT = 3
_REPETITIVE_CHARS = 1000  # a shorter text is read whole anyway
_ASCII_ODD = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f]| [ \n]|\n(?: |\n\n)|([._\-=*~#])(?: ?\1){3}|\A[ \n]|[ \n]\Z"
)


def normalise(text: str) -> str:
    """``text`` in the one form of all that look like it: the same again for a text in that form.

    NFC; one kind of space and of line end, each space single, none at a line's ends, one empty line at most;
    nothing invisible; ligatures opened; filler such as dotted lines three signs long. What carries meaning
    stays: superscripts, fractions, quotes, full-width letters, emoji, minus signs.
    """
    if text.isascii() and _ASCII_ODD.search(text) is None:
        return text
    text = _REPLACED.sub(_replacement, _LINE_ENDS.sub("\n", text))
    if not text.isascii():
        if _HAS_JOINERS.search(text):
            text = _JOINERS.sub(_joined, text)
        text = _composed(text)
        text = _L_DOT_L.sub("·", text)
    text = _MANY_SPACES.sub(" ", text).replace(" \n", "\n").replace("\n ", "\n")
    text = _BLANK_LINES.sub("\n\n", text).strip(" \n")
    return _FILLER_RUN.sub(r"\1\1\1", text)


def fold_repeats(text: str) -> str:
    """An answer in its normal form, with three of a word or sentence that is repeated over and over.

    For answers alone, and long ones: such filler would crowd out what else there is to read.
    """
    if len(text) <= _REPETITIVE_CHARS:
        return text
    return _fold(_fold(text, _WORDS), _SENTENCES)


def _fold(text: str, part: re.Pattern[str]) -> str:
    """``text`` with runs of parts shortened that are equal but for the space and line ends behind them."""
    kept: list[str] = []
    for _, run in groupby(part.findall(text), key=str.rstrip):
        parts = list(run)
        kept += parts if len(parts) < MIN_REPEATED else parts[: _REPEATS_KEPT - 1] + parts[-1:]
    return "".join(kept)


def _replacement(match: re.Match[str]) -> str:
    char = match[0]
    return " " if _IS_SPACE.match(char) else _OPENED.get(char, "")


def _joined(match: re.Match[str]) -> str:
    return match[1] or ""


def _composed(text: str) -> str:
    """``text`` in NFC, without what would make that slow."""
    if _MAY_BE_MARKED.search(text):
        text = _STRETCH.sub(lambda found: _MARKED.sub(_fewer_marks, found[0]), text)
    text = unicodedata.normalize("NFC", text)
    if "\u0131" in text:
        # An accent on a dotless i looks as on an i: PDFs have it so.
        text = unicodedata.normalize("NFC", _DOTLESS_I.sub("i", text))
    return text


def _fewer_marks(match: re.Match[str]) -> str:
    parts = [part for char in match[0] for part in unicodedata.normalize("NFD", char)]
    marks = sorted(filter(unicodedata.combining, parts), key=unicodedata.combining)
    return "".join([*(part for part in parts if not unicodedata.combining(part)), *marks[:MAX_MARKS]])


# Whether a letter or digit stands before any markup: so in nearly all texts, which are done then.
_SURELY_READABLE = re.compile("[^<&0-9A-Za-z\u00c0-\u024f]*+[0-9A-Za-z\u00c0-\u024f]")
_NAMES = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo big blink "
    "blockquote body br button canvas caption center cite code col colgroup data datalist dd del "
    "details dfn dialog dir div dl dt em embed fieldset figcaption figure font footer form frame "
    "frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins kbd label legend li "
    "link main map mark marquee math menu menuitem meta meter nav nobr noframes noscript object ol "
    "optgroup option output p param picture pre progress q rp rt ruby s samp script search section "
    "select slot small source span strike strong style sub summary sup svg table tbody td template "
    "textarea tfoot th thead time title tr track tt u ul var video wbr xml"
)
_HTML = frozenset(_NAMES.split())
# No part of a tag crosses a "<", so that each character is looked at a bounded number of times.
_TAG = re.compile(
    r"<(?:!--.*?(?:-->|\Z)"
    r"|(?:style|script)(?![\w:-])[^<>]*+>.*?(?:</(?:style|script)\s*+>|\Z)"
    r"|/?([a-z][\w:-]*+)(?:"
    r"(?:\s(?:\"[^\"<]*+\"|'[^'<]*+'|[^\"'<>])*+|/\s*+)?>"
    r"|(?:\s++[\w:-]++\s*+=[^<>]*+)?\s*+/?\Z)"  # not closed: nothing but attributes until the end
    r"|!\[CDATA\[|[!?][^<>]*+>|(?:!doctype|\?xml|!\[)[^<>]*+\Z)"
    r"|\]\]>",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(?:#0*+([0-9]{1,7})|#x0*+([0-9a-f]{1,6})|([a-z][a-z0-9]{1,31}));?", re.IGNORECASE)
_MAX_ROUNDS = 8
# They show nothing, though Unicode counts them as letters or symbols; the last stands for a lost picture.
_EMPTY = frozenset("\u115f\u1160\u3164\uffa0\u2800\U0001d159\ufffc")
_DASHES = frozenset("\u2212\u2043\u2500\u2501\u207b\u208b")


def is_blank(text: str) -> bool:
    """Whether nothing that a person would read is left without invisible characters, markup and entities.

    A dash alone, as Moodle writes for "not answered", is nothing either.
    """
    if _SURELY_READABLE.match(text):
        return False
    return not any(map(_readable, _without_markup(normalise(text))))


def _without_markup(text: str) -> str:
    # Markup can be escaped ("&lt;p&gt;"), more than once ("&amp;nbsp;"), or nested in itself.
    for _ in range(_MAX_ROUNDS):
        if "<" not in text and "&" not in text:
            break
        text = _ENTITY.sub(_unescaped, _TAG.sub(_without_tag, text))
    return text


def _without_tag(match: re.Match[str]) -> str:
    """Nothing for markup. An unknown name ("<hola>") is text, unless it is written as Word's ("<o:p>")."""
    name = match[1]
    return "" if not name or name.lower() in _HTML or ":" in name or "-" in name else match[0]


def _unescaped(match: re.Match[str]) -> str:
    decimal, hexadecimal, _ = match.groups()
    if decimal or hexadecimal:
        return html.unescape(f"&#{decimal};" if decimal else f"&#x{hexadecimal};")
    return html.unescape(match[0])


def _readable(char: str) -> bool:
    category = unicodedata.category(char)
    if category in ("Co", "Cn"):
        return True  # somebody's own sign, or one newer than this Python
    return category[0] not in "CMZ" and category != "Pd" and char not in _EMPTY and char not in _DASHES
