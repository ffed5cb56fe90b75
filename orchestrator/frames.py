"""Server-sent messages as bytes."""

# U+2028, U+2029 and U+0085 in UTF-8, and as JSON escapes them.
SEPARATORS = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"), (b"\xc2\x85", rb"\u0085"))


def one_line(payload: bytes) -> bytes:
    """The same JSON without the characters beyond ASCII at which common readers of lines cut.

    In JSON they can only stand inside of a string, where an escape says the same; JSON escapes the others.
    """
    for separator, escape in SEPARATORS:
        payload = payload.replace(separator, escape)
    return payload


def frame(number: int, payload: bytes) -> bytes:
    """An unnamed server-sent message, in one data line."""
    return b"id: %d\ndata: %b\n\n" % (number, one_line(payload))


def unnumbered(payload: bytes) -> bytes:
    """The same for what is no event of the job, and can't be resumed behind."""
    return b"data: %b\n\n" % one_line(payload)
