"""The encoding of a text file that doesn't say."""

from __future__ import annotations

import codecs
import re

from avalua_client.tables.table import TableError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE_BYTES = 65_536
WESTERN = ("cp1252", "mac_roman", "cp850")
"""What programs here write that don't write Unicode: Windows, old Macs, old DOS. The first is usual."""
USUAL = 3
"""So much likelier another one must be: a few characters tell little."""
NO_CHARACTERS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Python's names for what no spreadsheet writes; some take the square of a text's length to read."""
CONTROLS = bytes({*range(32)} - set(b"\t\n\v\f\r"))
MANY = 0.01
"""So many control characters no text has."""
MUCH = 0.3
"""Of every other byte so many are zero where western text is in UTF-16."""
FEW = 0.25
"""So many wrong bytes for each right letter are damage: text in another encoding has hardly a right one."""
UNKNOWN = "\ufffd"

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# Where letters and signs stand in the languages of these files. In another encoding they are others, there.
_LETTER = "[àáèéíïòóúüçñ]"
_LIKELY = re.compile(
    rf"(?<=[^\W\d_]){_LETTER}|{_LETTER}(?=[^\W\d_])|(?<=\d)[ºª]|(?<=[lL])·(?=[lL])|(?<=\d )€|€(?=\d)"
    r"|(?<![^\W\d_])[¿¡«“‘—–…](?=\w)|(?<=[\w.,!?])[»”’—–…](?!\w)|(?<=\s)[—–](?=\s)|(?<!\w)…(?=\s)|\xa0"
    r"|(?<=\b[dlmnstDLMNST])’(?=\w)|(?<=\w)’(?=(?:[dmnst]|hi|ho|ll|ls|ns|re|ve)\b)"
)
_LIKELY_CAPITAL = re.compile(r"(?<![a-zàáèéíïòóúüçñ])[ÀÁÈÉÍÏÒÓÚÜÇÑ](?![^\w\s])")


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """The text and its encoding: the one that is given, or the one that is found.

    Raises TableError (``unknown_encoding``, ``wrong_encoding``, ``not_text``).
    """
    if encoding is not None:
        return _decode_as(data, encoding)
    for mark, name in MARKS:
        if data.startswith(mark):
            # Marks are clear: where the rest isn't in that encoding, it is damaged.
            return data.decode(name, "replace").removeprefix("\ufeff"), name
    if guessed := _without_mark(data[:SAMPLE_BYTES]):
        return data.decode(guessed, "replace"), guessed
    sample = data[:SAMPLE_BYTES]
    if len(sample) - len(sample.translate(None, CONTROLS)) > 2 + MANY * len(sample):
        raise TableError("not_text", "The file is no text: save it as CSV or XLSX, and try again.")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        wrong, letters = text.count(UNKNOWN), len(text) - len(text.encode("ascii", "ignore"))
        found = "utf-8" if wrong < FEW * letters else _western(data)
        return text if found == "utf-8" else data.decode(found, "replace"), found


def _decode_as(data: bytes, encoding: str) -> tuple[str, str]:
    try:
        name = codecs.lookup(encoding).name
        text = "" if name in NO_CHARACTERS else data.decode(name)
    except LookupError:
        raise TableError(
            "unknown_encoding", f"There is no encoding {encoding!r}; try utf-8 or cp1252."
        ) from None
    except (UnicodeError, ValueError):
        raise TableError(
            "wrong_encoding", f"The file is not in {encoding}: leave the encoding out, or try cp1252."
        ) from None
    if name in NO_CHARACTERS or not isinstance(text, str):
        raise TableError("unknown_encoding", f"{encoding!r} is no encoding of text; try utf-8 or cp1252.")
    return text.removeprefix("\ufeff"), name


def _without_mark(sample: bytes) -> str:
    """UTF-16, by the zeros beside each letter."""
    pairs = len(sample) // 2
    if pairs >= 2 and sample[1::2].count(0) > MUCH * pairs and sample[::2].count(0) < MUCH * pairs:
        return "utf-16-le"
    if pairs >= 2 and sample[::2].count(0) > MUCH * pairs and sample[1::2].count(0) < MUCH * pairs:
        return "utf-16-be"
    return ""


def _western(data: bytes) -> str:
    """The likeliest, by the lines that hold other letters than English ones."""
    lines = [line for line in data[: 16 * SAMPLE_BYTES].split(b"\n") if not line.isascii()]
    sample = b"\n".join(lines)[:SAMPLE_BYTES]

    def likelihood(name: str) -> int:
        return _likelihood(sample.decode(name, "replace")) + (USUAL if name == WESTERN[0] else 0)

    return max(WESTERN, key=likelihood)


def _likelihood(text: str) -> int:
    """How many letters and signs stand where they are usual, less the others."""
    likely = 2 * len(_LIKELY.findall(text)) + len(_LIKELY_CAPITAL.findall(text))
    return 2 * likely - len(_BEYOND_ASCII.findall(text))
