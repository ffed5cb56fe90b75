"""Reading a mark out of what the model wrote. Pure: never raises, never invents a mark."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from degenerate import is_degenerate
from item_errors import ItemErrorCode

NO_MARK = -1
MAX_DIGITS = 18
"""Longer numbers aren't read: Python refuses very long ones, and no mark has more than one digit."""


@dataclass(frozen=True, slots=True)
class Grade:
    """``nota`` 0 to 5 with ``feedback``, or ``NO_MARK`` with an ``error`` sentence and its code."""

    nota: int
    feedback: str
    error: str = ""
    error_code: str = ""


class _UnreadableError(ValueError):
    """Not one JSON object as it must be. Its text is the sentence for the teacher."""


def failed(code: ItemErrorCode, sentence: str) -> Grade:
    return Grade(NO_MARK, "", sentence, code)


def read_output(raw: bytes, finish_reason: str) -> Grade:
    """The grade in the model's output, which must be UTF-8."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return failed("invalid_encoding", "The model's answer is not UTF-8 text.")
    return read_grade(text, finish_reason)


def read_grade(text: str, finish_reason: str) -> Grade:
    """The grade in ``text``, which must be one JSON object ``{"nota": 0..5, "feedback": "..."}``.

    ``finish_reason`` is vLLM's ("stop", "length", ...). White space around the object is allowed,
    anything else is not: what isn't surely a mark is an error that says what was wrong.
    """
    if finish_reason == "length":
        return failed("output_truncated", "The model's answer was cut off before its end.")
    if not text.strip():
        return failed("empty_output", "The model answered with nothing.")
    try:
        answer = read_object(text)
    except _UnreadableError as error:
        return failed("invalid_json", str(error))
    if "nota" not in answer or "feedback" not in answer:
        return failed("missing_field", "The model's answer lacks the mark or the feedback.")
    nota, feedback = answer["nota"], answer["feedback"]
    # bool is an int in Python, and `true` is not a mark.
    if not isinstance(nota, int) or isinstance(nota, bool):
        return failed("invalid_nota", "The model's mark is not a whole number.")
    if not 0 <= nota <= 5:
        return failed("nota_out_of_range", "The model's mark is not between 0 and 5.")
    if not isinstance(feedback, str) or not feedback.strip():
        return failed("empty_feedback", "The model gave a mark without feedback.")
    if is_degenerate(feedback):
        return failed("degenerate_feedback", "The model's feedback repeats itself without end.")
    return Grade(nota, feedback)


def read_object(text: str) -> dict[str, Any]:
    """The one JSON object in ``text``. Raises _UnreadableError with what is wrong."""
    start = text.strip()
    try:
        answer, end = _DECODER.raw_decode(start)
    except RecursionError:
        raise _UnreadableError("The model's answer is nested too deeply.") from None
    except _UnreadableError:
        raise
    except ValueError:
        raise _UnreadableError(
            "The model's answer has other text before its JSON object."
            if "{" in start[1:] and not start.startswith("{")
            else "The model's answer is not valid JSON."
        ) from None
    if rest := start[end:].lstrip():
        more = "another object" if rest.startswith("{") else "other text"
        raise _UnreadableError(f"The model's answer has {more} behind its JSON value.")
    if not isinstance(answer, dict):
        raise _UnreadableError("The model's answer is JSON, but not an object.")
    return answer


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two marks, neither is surely the one."""
    if len(dict(pairs)) < len(pairs):
        raise _UnreadableError("The model's answer has the same key twice.")
    return dict(pairs)


def _integer(digits: str) -> int:
    return int(digits[: MAX_DIGITS + 1])


def _constant(name: str) -> Any:
    raise _UnreadableError(f"The model's answer has {name}, which is not JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)
