"""A mark is read, or it is said why not. It is never invented, rounded or clamped."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_repository.beside import beside

grade = beside("grade")


@pytest.mark.parametrize("nota", range(6))
def test_a_whole_answer_is_a_mark(nota: int) -> None:
    """Every mark from 0 to 5 is read with its feedback, white space around the object or not."""
    text = json.dumps({"nota": nota, "feedback": "Bé"})
    for given_text in (text, f"\n {text}\t\n", json.dumps({"feedback": "Bé", "nota": nota, "extra": [1]})):
        assert grade.read_grade(given_text, "stop") == grade.Grade(nota, "Bé")


UNUSABLE = [
    ("truncated", '{"nota": 4, "feedback": "Molt b', "invalid_json"),
    ("truncated before the mark", '{"nota": ', "invalid_json"),
    ("prose before", 'Aquí tens: {"nota": 4, "feedback": "Bé"}', "invalid_json"),
    ("prose behind", '{"nota": 4, "feedback": "Bé"} Espero que ajudi.', "invalid_json"),
    ("code fence", '```json\n{"nota": 4, "feedback": "Bé"}\n```', "invalid_json"),
    ("two objects", '{"nota": 4, "feedback": "Bé"}{"nota": 5, "feedback": "Bé"}', "invalid_json"),
    ("two objects in lines", '{"nota": 4, "feedback": "Bé"}\n{"nota": 4, "feedback": "Bé"}', "invalid_json"),
    ("a list", '[{"nota": 4, "feedback": "Bé"}]', "invalid_json"),
    ("a number", "4", "invalid_json"),
    ("a word", '"4"', "invalid_json"),
    ("single quotes", "{'nota': 4, 'feedback': 'Bé'}", "invalid_json"),
    ("trailing comma", '{"nota": 4, "feedback": "Bé",}', "invalid_json"),
    ("byte order mark", '\ufeff{"nota": 4, "feedback": "Bé"}', "invalid_json"),
    ("key twice", '{"nota": 4, "nota": 5, "feedback": "Bé"}', "invalid_json"),
    ("the same mark twice", '{"nota": 4, "nota": 4, "feedback": "Bé"}', "invalid_json"),
    ("NaN", '{"nota": NaN, "feedback": "Bé"}', "invalid_json"),
    ("Infinity", '{"nota": -Infinity, "feedback": "Bé"}', "invalid_json"),
    ("raw line break in the feedback", '{"nota": 4, "feedback": "Bé\n"}', "invalid_json"),
    ("deep nesting", "[" * 200_000, "invalid_json"),
    ("deep nesting inside", '{"nota": 4, "feedback": "Bé", "x": ' + '{"a":' * 100_000, "invalid_json"),
    ("7", '{"nota": 7, "feedback": "Bé"}', "nota_out_of_range"),
    ("6", '{"nota": 6, "feedback": "Bé"}', "nota_out_of_range"),
    ("-1", '{"nota": -1, "feedback": "Bé"}', "nota_out_of_range"),
    ("a huge number", '{"nota": ' + "4" * 10_000 + ', "feedback": "Bé"}', "nota_out_of_range"),
    ("a huge negative number", '{"nota": -' + "9" * 10_000 + ', "feedback": "Bé"}', "nota_out_of_range"),
    ("text", '{"nota": "4", "feedback": "Bé"}', "invalid_nota"),
    ("3.5", '{"nota": 3.5, "feedback": "Bé"}', "invalid_nota"),
    ("4.0", '{"nota": 4.0, "feedback": "Bé"}', "invalid_nota"),
    ("an exponent", '{"nota": 4e0, "feedback": "Bé"}', "invalid_nota"),
    ("null", '{"nota": null, "feedback": "Bé"}', "invalid_nota"),
    ("true", '{"nota": true, "feedback": "Bé"}', "invalid_nota"),
    ("a list as mark", '{"nota": [4], "feedback": "Bé"}', "invalid_nota"),
    ("no mark", '{"feedback": "Bé"}', "missing_field"),
    ("no feedback", '{"nota": 4}', "missing_field"),
    ("an empty object", "{}", "missing_field"),
    ("other case", '{"Nota": 4, "Feedback": "Bé"}', "missing_field"),
    ("null feedback", '{"nota": 4, "feedback": null}', "empty_feedback"),
    ("blank feedback", '{"nota": 4, "feedback": " \\n "}', "empty_feedback"),
    ("feedback that is no text", '{"nota": 4, "feedback": 4}', "empty_feedback"),
    ("nothing", "", "empty_output"),
    ("endless white space", " \n\t" * 50_000, "empty_output"),
    ("endless white space in the object", '{"nota": 4,' + " " * 100_000, "invalid_json"),
]


@pytest.mark.parametrize(
    ("text", "code"), [case[1:] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE]
)
def test_anything_else_is_no_mark(text: str, code: str) -> None:
    """What isn't surely one mark has none, with a code and one sentence that says why."""
    read = grade.read_grade(text, "stop")
    assert (read.nota, read.feedback, read.error_code) == (grade.NO_MARK, "", code)
    assert read.error.endswith(".")
    assert "\n" not in read.error


def test_output_cut_by_length_is_unusable() -> None:
    """Even a whole object is none when the model was cut off."""
    read = grade.read_grade('{"nota": 4, "feedback": "Bé"}', "length")
    assert (read.nota, read.error_code) == (grade.NO_MARK, "output_truncated")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-32"])
def test_another_encoding_is_said(encoding: str) -> None:
    """Bytes that aren't UTF-8 are no mark, rather than feedback with broken letters."""
    read = grade.read_output('{"nota": 4, "feedback": "Bé ÿ"}'.encode(encoding), "stop")
    assert (read.nota, read.error_code) == (grade.NO_MARK, "invalid_encoding")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)


@given(st.text() | st.dictionaries(st.sampled_from(["nota", "feedback", "x"]), JSON_VALUES).map(json.dumps))
def test_never_raises_never_invents(text: str) -> None:
    """Whatever the model writes: a mark from 0 to 5 that stands in its JSON, or none with a reason."""
    read = grade.read_grade(text, "stop")
    if read.nota == grade.NO_MARK:
        assert read.error
        assert read.error_code
    else:
        assert json.loads(text)["nota"] == read.nota
        assert 0 <= read.nota <= 5
        assert not read.error_code


@given(st.binary())
def test_never_raises_on_bytes(raw: bytes) -> None:
    """Any bytes at all."""
    assert grade.read_output(raw, "stop").nota in range(-1, 6)
