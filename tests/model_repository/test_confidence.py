"""How sure a mark is, from the log-probabilities at its own token."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_repository.beside import beside

confidence = beside("confidence")


def step(taken: str, chance: float = 1.0, **others: float) -> dict[str, dict[str, Any]]:
    """One token's log-probabilities, the token that was taken first. Names begin with "m" for a mark."""
    chances = {taken: chance} | {name.removeprefix("m"): chance for name, chance in others.items()}
    return {
        str(number): {"logprob": math.log(chance), "rank": 1, "decoded_token": text}
        for number, (text, chance) in enumerate(chances.items())
    }


TAIL = [step(", "), step('"feedback": "'), step("4"), step('"}')]


def test_at_the_marks_own_token() -> None:
    """The alternatives at the mark's token are the probabilities; digits elsewhere don't matter."""
    steps = [step('{"nota"'), step(": "), step("4", 0.6, m3=0.3, m5=0.1), *TAIL]
    read = confidence.read_confidence(json.dumps(steps), 4)
    assert read.probabilities == pytest.approx((0, 0, 0, 0.3, 0.6, 0.1), abs=1e-6)
    assert read.confidence == pytest.approx(0.6)
    assert read.expected_mark == pytest.approx(0.3 * 3 + 0.6 * 4 + 0.1 * 5)


def test_a_token_with_more_than_the_mark() -> None:
    """A tokenizer that joins the mark with what stands around it is read alike."""
    steps = [step('{"nota":'), step(" 2,", 0.7, **{"m 1,": 0.2, "m 10": 0.05, "m 2 ": 0.05}), *TAIL]
    read = confidence.read_confidence(json.dumps(steps), 2)
    assert read.probabilities[1] == pytest.approx(0.2 / 0.95)
    assert read.confidence == pytest.approx(0.75 / 0.95)


def test_the_feedback_may_come_first() -> None:
    """In unconstrained output the mark may stand last."""
    steps = [step('{"feedback": "Bé", "nota"'), step(":"), step("1", 0.9, m2=0.1), step("}")]
    assert confidence.read_confidence(json.dumps(steps), 1).confidence == pytest.approx(0.9)


def test_the_mark_is_found_behind_much_text_in_small_pieces() -> None:
    """What was written before isn't read again at each token, and the mark's name may still be in pieces."""
    steps = [*map(step, '{"feedback": "' + "Bé " * 80 + '", "nota"   :  '), step("1", 0.9, m2=0.1), step("}")]
    assert confidence.read_confidence(json.dumps(steps), 1).confidence == pytest.approx(0.9)


def test_marks_that_are_not_among_the_alternatives() -> None:
    """They get no more than what is left, so that all six still sum to 1."""
    read = confidence.read_confidence(json.dumps([step('{"nota": '), step("5", 0.5, m4=0.1, x=0.1)]), 5)
    assert sum(read.probabilities) == pytest.approx(1)
    assert 0 < read.probabilities[0] <= 0.1
    assert read.confidence > 0.5


@pytest.mark.parametrize(
    "logprobs",
    [
        "null",
        "",
        "[]",
        "{}",
        "[{}]",
        "[1]",
        "[[",
        '[{"1": {}}]',
        '[{"1": {"decoded_token": "x"}}',
        json.dumps([step('{"nota": '), step("3")]),
        '[{"1": {"decoded_token": "{\\"nota\\": 4", "logprob": "x"}}]',
    ],
)
def test_what_is_not_known_is_said(logprobs: str) -> None:
    """Without log-probabilities, or with those of another mark, nothing is made up."""
    assert confidence.read_confidence(logprobs, 4) == confidence.NOT_KNOWN


CHANCE = st.floats(1e-12, 1.0)


@given(st.lists(st.tuples(st.sampled_from("0123456789 x"), CHANCE), min_size=1), st.integers(0, 5), CHANCE)
def test_always_a_distribution(others: list[tuple[str, float]], nota: int, chance: float) -> None:
    """Six figures that sum to 1, the mark's own among them, and an expected mark between 0 and 5."""
    taken = step(str(nota), chance, **dict(others))
    read = confidence.read_confidence(json.dumps([step('{"nota": '), taken]), nota)
    assert len(read.probabilities) == 6
    assert sum(read.probabilities) == pytest.approx(1)
    assert read.confidence == read.probabilities[nota]
    assert 0 <= read.expected_mark <= 5.000001


@given(st.text())
def test_never_raises(logprobs: str) -> None:
    """Whatever stands where the log-probabilities should be."""
    assert confidence.read_confidence(logprobs, 3).confidence <= 1


def test_threshold() -> None:
    """LOW_CONFIDENCE is a probability; what is none is refused by name."""
    assert confidence.read_threshold({}) == 0.6
    assert confidence.read_threshold({"LOW_CONFIDENCE": "0"}) == 0
    for value in ("x", "1.5", "nan", "-0.1"):
        with pytest.raises(ValueError, match="LOW_CONFIDENCE"):
            confidence.read_threshold({"LOW_CONFIDENCE": value})
