"""JSON as clients send it: what is not JSON is refused with its place, and with what to do about it."""

import json
import re
from http import HTTPStatus
from typing import Any, Final

import orjson

from orchestrator.api.encoding import UTF8_MARK, ZIP, foreign_encoding
from orchestrator.api.errors import ApiError
from orchestrator.api.json_faults import fault

# Stretches in which every escape stands for whole characters, or, as group 1, halves of characters beyond the
# first 65 536 (an emoji) that miss their other half. Possessive, so that it stays linear.
_HALVES: Final = re.compile(
    rb"(?:[^\\]"
    rb"|\\[^u]"
    rb"|\\u(?![dD][89a-fA-F])"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})++"
    rb"|((?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|\\u[dD][c-fC-F][0-9a-fA-F]{2})++)"
)
_ESCAPE_BYTES: Final = 6
_REPLACEMENT: Final = b"\\ufffd"  # as long as what it replaces: places in the body stay what they are


def parse_json(body: bytes) -> Any:
    """What a body in UTF-8 says, with or without a byte order mark. Raises ApiError (400).

    JavaScript can cut an emoji in half and send "\\ud83d": valid JSON, not Unicode. It becomes U+FFFD.
    """
    body = body.removeprefix(UTF8_MARK)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"\\u" not in body:
            raise _refusal(body, error) from None
    body = _without_halves(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _refusal(body, error) from None


def _without_halves(body: bytes) -> bytes:
    whole = bytearray(body)
    for found in _HALVES.finditer(body):
        if found[1] is not None:
            whole[found.start() : found.end()] = _REPLACEMENT * (len(found[1]) // _ESCAPE_BYTES)
    return bytes(whole)


def _refusal(body: bytes, error: json.JSONDecodeError) -> ApiError:
    looks_like = foreign_encoding(body)
    if looks_like == ZIP:
        message = f"The body is not JSON. It looks like {looks_like}; send its content as JSON in UTF-8."
        return _invalid(message, {"looks_like": looks_like})
    if looks_like is not None:
        message = (
            f"The body is not UTF-8. It looks like {looks_like}; save the file as UTF-8 and send it again."
        )
        return _invalid(message, {"looks_like": looks_like})
    try:
        text, pos, problem = body.decode("utf-8"), error.pos, error.msg
    except UnicodeDecodeError as damage:
        text = body[: damage.start].decode("utf-8")
        pos, problem = len(text), "not UTF-8"
    if not text.strip() and problem != "not UTF-8":
        return _invalid('The body is empty; send JSON such as {"items": [...]}.', {"line": 1, "column": 1})
    found = fault(text, pos, problem)
    return _invalid(f"The body is not valid JSON: {found.sentence}", found.place)


def _invalid(message: str, details: dict[str, Any]) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_json", message, details)
