"""Reading a mark out of what the model wrote. Pure: never raises, never invents a mark."""

from __future__ import annotations

import json
from dataclasses import dataclass

NO_MARK = -1


@dataclass(frozen=True, slots=True)
class Grade:
    """``nota`` 0 to 5 with ``feedback``, or ``NO_MARK`` with an ``error`` sentence and its code."""

    nota: int
    feedback: str
    error: str = ""
    error_code: str = ""


def failed(code: str, sentence: str) -> Grade:
    return Grade(NO_MARK, "", sentence, code)


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
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return failed("invalid_json", "The model's answer is not one JSON object.")
    if not isinstance(answer, dict):
        return failed("invalid_json", "The model's answer is JSON, but not an object.")
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
    return Grade(nota, feedback)
