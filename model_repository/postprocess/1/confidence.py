"""How sure the model is of a mark, from the log-probabilities at the mark's own token. Pure, never raises.

vLLM says that it gives log-probabilities before the constraint; 0.32 gives them after it. Both come to the
same here, since the marks' probabilities are made to sum to 1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

UNKNOWN = -1.0
MARKS = range(6)
_MARK = re.compile(r'"nota"\s{0,20}:\s{0,20}(\d)')
_REACH = len('"nota":') + 40
"""So many characters before the digit can belong to the mark; what lies further back isn't read again."""
_MAX_TOKENS_BEFORE = 400
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Confidence:
    """``probabilities`` of the marks 0 to 5, which sum to 1. All ``UNKNOWN`` where they are not known."""

    probabilities: tuple[float, ...] = (UNKNOWN,) * len(MARKS)
    confidence: float = UNKNOWN
    expected_mark: float = UNKNOWN


NOT_KNOWN = Confidence()


def read_threshold(env: Mapping[str, str]) -> float:
    """LOW_CONFIDENCE: a mark below it is flagged. Raises ValueError with a sentence."""
    value = env.get("LOW_CONFIDENCE") or "0.6"
    try:
        threshold = float(value)
    except ValueError:
        threshold = math.nan
    if not 0 <= threshold <= 1:
        raise ValueError(f"LOW_CONFIDENCE={value!r}: give a number from 0 to 1.")
    return threshold


def read_confidence(logprobs: str, nota: int) -> Confidence:
    """How sure the model is of ``nota``; ``logprobs`` is what Triton's vLLM backend gives, a JSON list.

    Only the tokens up to the mark are read. ``NOT_KNOWN`` where the mark isn't found among them.
    """
    try:
        return _confidence(logprobs, nota)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return NOT_KNOWN


def _confidence(logprobs: str, nota: int) -> Confidence:
    written = ""
    for step in steps(logprobs):
        # The token that was taken comes first.
        token = str(next(iter(step.values()), {"decoded_token": ""})["decoded_token"])
        if mark := _MARK.search(written + token):
            place = mark.start(1) - len(written)
            return from_step(step, token[:place], nota) if mark[1] == str(nota) else NOT_KNOWN
        written = (written + token)[-_REACH:]
    return NOT_KNOWN


def steps(logprobs: str) -> Iterator[dict[str, dict[str, Any]]]:
    """The tokens' log-probabilities one after the other, without reading those that nobody asks for."""
    place = logprobs.index("[") + 1
    for _ in range(_MAX_TOKENS_BEFORE):
        while logprobs[place : place + 1] in (" ", ",", "\n"):
            place += 1
        if logprobs[place : place + 1] != "{":
            return
        step, place = _DECODER.raw_decode(logprobs, place)
        yield step


def from_step(step: Mapping[str, Mapping[str, Any]], before: str, nota: int) -> Confidence:
    """The marks' probabilities among a token's alternatives; ``before`` is what it has before the mark.

    A mark that isn't among them is less likely than each of them, and all that are missing share no more
    than what is left of 1. They get half of that bound: it is tiny for a trained model.
    """
    masses = dict.fromkeys(MARKS, 0.0)
    likelihoods = [math.exp(float(entry["logprob"])) for entry in step.values()]
    for entry, likelihood in zip(step.values(), likelihoods, strict=True):
        text = str(entry["decoded_token"])
        after = text[len(before) :]
        # "10" is no mark, and neither is "4" written with other blanks than those that were.
        if text.startswith(before) and after[:1] in set("012345") and not after[1:2].isdigit():
            masses[int(after[0])] += likelihood
    missing = [mark for mark, mass in masses.items() if not mass]
    if missing:
        bound = min(max(0.0, 1.0 - sum(likelihoods)) / len(missing), *likelihoods)
        masses.update(dict.fromkeys(missing, bound / 2))
    total = sum(masses.values())
    if not total > 0 or not math.isfinite(total):
        return NOT_KNOWN
    probabilities = tuple(mass / total for mass in masses.values())
    return Confidence(
        probabilities, probabilities[nota], sum(mark * share for mark, share in enumerate(probabilities))
    )
