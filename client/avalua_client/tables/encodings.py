"""The encoding of a text file that doesn't say."""

from __future__ import annotations

import codecs

from charset_normalizer import from_bytes

from avalua_client.tables.table import TableError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE_BYTES = 65_536
WESTERN = ["cp1252", "mac_roman", "cp850"]
"""What programs here write that don't write Unicode: Windows, old Macs, old DOS."""
DEFAULT = "cp1252"
CONTROLS = bytes({*range(32)} - set(b"\t\n\v\f\r"))
MANY = 0.01
"""So many control characters no text has."""
MUCH = 0.3
"""Of every other byte so many are zero where western text is in UTF-16."""


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """The text and its encoding: the one that is given, or the one that is found.

    Raises TableError (``unknown_encoding``, ``wrong_encoding``, ``not_text``).
    """
    if encoding is not None:
        return _decode_as(data, encoding)
    for mark, name in MARKS:
        if data.startswith(mark):
            return _decode_as(data, name)
    if guessed := _without_mark(data[:SAMPLE_BYTES]):
        return _decode_as(data, guessed)
    sample = data[:SAMPLE_BYTES]
    if len(sample.translate(None, CONTROLS)) < (1 - MANY) * len(sample):
        raise TableError("not_text", "The file is no text: save it as CSV or XLSX, and try again.")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        bad = text.count("\ufffd")
        if len(data) - len(text) > 4 * bad:  # most of what is not English is UTF-8: a few bytes are damaged
            return text, "utf-8"
        found = _western(data)
        return data.decode(found, "replace"), found


def _decode_as(data: bytes, encoding: str) -> tuple[str, str]:
    try:
        name = codecs.lookup(encoding).name
        text = data.decode(name)
    except LookupError:
        raise TableError(
            "unknown_encoding", f"There is no encoding {encoding!r}; try utf-8 or cp1252."
        ) from None
    except (UnicodeError, ValueError):
        raise TableError(
            "wrong_encoding", f"The file is not in {encoding}: leave the encoding out, or try cp1252."
        ) from None
    if not isinstance(text, str):
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
    best = from_bytes(sample, cp_isolation=WESTERN).best()
    return best.encoding if best is not None and best.encoding in WESTERN else DEFAULT
