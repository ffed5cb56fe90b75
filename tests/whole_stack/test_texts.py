"""Texts as students and their programs really make them, through the whole stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.forms import FORMS
from tests.whole_stack.conftest import LocalStack
from tests.whole_stack.test_class import CLASS, call, events

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("whole-stack")]
CONSIGNA = "Explica què és la fotosíntesi."
ANSWER = "Les plantes agafen energia del sòl i de la llum amb la clorofil·la; així creixen i fan oxigen."
FIELDS = ("curso", "consigna", "respuesta")


def item(number: int, respuesta: str, consigna: str = CONSIGNA) -> dict[str, str]:
    return {"id_alumno": f"C{number}", "curso": "3r ESO", "consigna": consigna, "respuesta": respuesta}


def results(stack: LocalStack, items: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The results of a job, in item order."""
    job = call(f"{stack.url}/evaluate", {"items": items})
    events(stack.url + job["stream_url"])
    found: list[dict[str, Any]] = call(f"{stack.url}/results/{job['job_id']}")["results"]
    return found


def in_form(form: Callable[[str], str], items: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**one, **{field: form(one[field]) for field in FIELDS}} for one in items]


def test_no_blank_text_gets_a_mark(stack: LocalStack) -> None:
    """Invisible characters, empty markup, a dash: each is a failed item without an attempt."""
    blanks = ["\u200b", "\ufeff", "<p>&nbsp;</p>", "<p></p>", "-", "", " \u00a0 ", "&amp;nbsp;", "<!-- x -->"]
    for result in results(stack, [item(i, text) for i, text in enumerate(blanks)]):
        assert (result["nota"], result["error"]["code"], result["attempts"]) == (None, "blank_answer", 0)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_same_text_has_the_same_result(stack: LocalStack, form: Callable[[str], str]) -> None:
    """Eight of the class in another form: every field of every result is equal."""
    as_is = [*CLASS[:8], item(9, ANSWER)]
    assert results(stack, in_form(form, as_is)) == results(stack, as_is)


def test_line_ends_are_one(stack: LocalStack) -> None:
    """Windows' line ends give what Unix's give."""
    unix = [
        item(i, text.replace(". ", ".\n")) for i, text in enumerate(one["respuesta"] for one in CLASS[:5])
    ]
    assert results(stack, in_form(lambda text: text.replace("\n", "\r\n"), unix)) == results(stack, unix)


@pytest.mark.parametrize("count", [85, 90, 200])
def test_an_assignment_that_crowds_the_answer_out_is_named(stack: LocalStack, count: int) -> None:
    """A reading passage that leaves less than half of the answer: no mark, and the error names it."""
    passage = (
        "Llegeix el text i explica'n la idea. " + "La fotosíntesi transforma la llum en energia. " * count
    )
    (result,) = results(stack, [item(0, ANSWER, passage)])
    assert (result["nota"], result["error"]["code"]) == (None, "assignment_too_long")
    assert "assignment" in result["error"]["message"]


@pytest.mark.parametrize("count", [40, 400])
def test_a_loop_is_never_ok(stack: LocalStack, count: int) -> None:
    """A text that makes the model loop is a failed item, tried three times, or has readable feedback."""
    (result,) = results(stack, [item(0, "La planta creix amb la llum. " * count)])
    if result["status"] == "failed":
        assert result["error"]["code"] in ("degenerate_feedback", "output_truncated")
        assert result["attempts"] == 3
    else:
        assert len(set(result["feedback"].split())) > 5


def test_ordinary_sentences_are_no_instructions(stack: LocalStack) -> None:
    """A colon behind a word such as system, mark or model gives the grader no orders."""
    sentences = [
        "Sistema: conjunt d'òrgans que treballen junts.",
        "Nota: 3 planetes no tenen llunes.",
        "Model: HP 3000, i va molt lent.",
        "El sistema solar: vuit planetes.",
    ]
    for result in results(stack, [item(number, text) for number, text in enumerate(sentences)]):
        assert "instruction_like" not in result["flags"]


@pytest.mark.parametrize("filler", [".", "\n"], ids=["dots", "line breaks"])
def test_a_class_is_marked_beside_texts_that_are_nearly_all_filler(stack: LocalStack, filler: str) -> None:
    """Sixty of them, and the class behind them has its marks while the deadline of a request lasts."""
    odd = [item(number, "El sistema solar " + filler * 19_900) for number in range(60)]
    waiting = call(f"{stack.url}/evaluate", {"items": odd})
    assert [result["status"] for result in results(stack, CLASS)] == ["ok"] * len(CLASS)
    events(stack.url + waiting["stream_url"])
