"""What a body that is not UTF-8 looks like, so that a refusal can say what to do about it."""

from typing import Final

UTF8_MARK: Final = b"\xef\xbb\xbf"
SAMPLE_BYTES: Final = 65_536
ZIP: Final = "an Excel workbook or another ZIP file"
# UTF-32's little-endian mark begins with UTF-16's, so it is looked for first.
_BEGINNINGS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"PK\x03\x04", ZIP),
    (b"\x1f\x8b", "a compressed file"),
)
# Whether each of the first four bytes is NUL: JSON begins with two ASCII characters.
_NULS: Final[dict[tuple[bool, ...], str]] = {
    (True, True, True, False): "UTF-32",
    (False, True, True, True): "UTF-32",
    (True, False, True, False): "UTF-16",
    (False, True, False, True): "UTF-16",
}
# What our users' texts hold most of beyond ASCII; capitals would let one code page pass for another.
_LETTERS: Final = "àáâäèéêëíïîòóôöúùûüçñ·ºª’"
# Written by Word; of its other signs, some are letters elsewhere.
_WORDS_SIGNS: Final = "“”€¿"
_CODE_PAGES: Final = {
    "Windows-1252 (ANSI, Latin-1)": frozenset((_LETTERS + _WORDS_SIGNS).encode("cp1252")),
    "Mac Roman": frozenset(_LETTERS.encode("mac_roman", "ignore")),
    "the DOS code page 850": frozenset(_LETTERS.encode("cp850", "ignore")),
}


def foreign_encoding(body: bytes) -> str | None:
    """What `body` looks like, as it fits behind "It looks like"; None where it is UTF-8, whole or damaged."""
    for beginning, name in _BEGINNINGS:
        if body.startswith(beginning):
            return name
    nuls = tuple(byte == 0 for byte in body[:4])
    if nuls in _NULS:
        return _NULS[nuls]
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        sample = body[max(0, error.start - SAMPLE_BYTES) : error.start + SAMPLE_BYTES]
        return None if _damaged(sample) else _code_page(sample)
    return None


def _damaged(sample: bytes) -> bool:
    """Whether most of what is not ASCII is UTF-8 all the same."""
    decoded = sample.decode("utf-8", "replace")
    bad = decoded.count("\ufffd")
    return sum(not char.isascii() for char in decoded) - bad > bad


def _code_page(sample: bytes) -> str:
    high = [byte for byte in sample if byte > 0x7F]
    return max(_CODE_PAGES, key=lambda name: sum(byte in _CODE_PAGES[name] for byte in high))
