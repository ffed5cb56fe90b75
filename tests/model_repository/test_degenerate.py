"""Feedback that loops is no feedback; what teachers write is."""

from __future__ import annotations

import json
import time

import pytest

from demo_model.dataset import items
from demo_model.phrases import Side
from tests.model_repository.beside import beside

degenerate, grade = beside("degenerate"), beside("grade")

LOOPS = (
    "Resposta" * 12 + "0" * 40,
    "RespostaRespostaRespostaResposta",
    "00000000000000, ",
    "Bona feina: " + "0" * 12,
    "aaaaaaaaaaaaaaa",
    "bé, " * 8,
    "molt bé molt bé molt bé molt bé molt bé",
    "La planta creix amb la llum. " * 3,
    "Et falta explicar l'aigua " + "i també l'aigua " * 5,
    "\\n" * 40 + "x",
    "Bé" + " " * 60,
    "." * 60,
    "!" * 30,
    "0",
    "....",
    "ha" * 30,
    "x" * 100,
    "nota " * 6,
    "1. Molt bé 2. Molt bé 3. Molt bé 4. Molt bé 5. Molt bé 6. Molt bé",
    "Cal revisar el text. Cal revisar el cor. " * 4,
    "😀" * 40,
    "abcabcabcabcabcabc",
    "Molt bé\n" * 10,
    "Bé " + "1 " * 12,
    "Nota: 5, 5, 5, 5, 5, 5, 5, 5",
    "Bé: 1" + ".000" * 40,
)
FEEDBACK = (
    "Bé",
    "Molt bé!",
    "Bona feina per a 3r ESO: hi ha totes les idees; repassa l'ortografia.",
    "Molt, molt, molt bé!",
    "No, no i no: l'aigua no desapareix.",
    "Excel·lent...",
    "Bé!!! Segueix així!!!",
    "👍 Molt bé",
    "El CO₂ i l'O₂: compte, 1000000 de litres no són 100 000.",
    "Ha escrit «ha ha ha», i això no és cap resposta.",
    "Et falta explicar la condensació i la precipitació; et falta explicar també el retorn al mar.",
    "Parles de la llum, de l'aigua, de les sals, de la fulla i de l'arrel, però no del sucre.",
    "Explica què fa la planta amb la llum, què fa la planta amb l'aigua i què fa amb el diòxid de carboni.",
    "Vegeu https://www.example.org/ciencies/biologia/plantes/fotosintesi",
    "Cal escriure 1.000.000.000 i no 1000000000; en binari, 255 és 11111111.",
    "En un mol hi ha 602.214.076.000.000.000.000.000 partícules.",
    "Nivell esperat per a 1r ESO: 1) bé, 2) bé, 3) no.",
)


@pytest.mark.parametrize("feedback", LOOPS)
def test_a_loop_is_no_mark(feedback: str) -> None:
    """Of one character, a piece, a word, a sentence: no mark, and its own code."""
    read = grade.read_grade(json.dumps({"nota": 4, "feedback": feedback}), "stop")
    assert (read.nota, read.feedback, read.error_code) == (-1, "", "degenerate_feedback")
    assert read.error.endswith(".")


@pytest.mark.parametrize("feedback", FEEDBACK)
def test_ordinary_feedback_is_none(feedback: str) -> None:
    """Repeated words, numbers, emphasis and addresses are not taken for loops."""
    assert not degenerate.is_degenerate(feedback)


@pytest.mark.parametrize("side", Side)
def test_no_false_alarm_over_the_demo_models_feedback(side: Side) -> None:
    """None of 1500 comments that the demo model was trained on, or is tested with."""
    assert not [item.feedback for item in items(side, 1500) if degenerate.is_degenerate(item.feedback)]


@pytest.mark.parametrize("piece", ["a", "ab", "a b ", "abcdefghij klmnop ", "\n", "0", "é, ", "x1 x2 x3 "])
def test_long_feedback_costs_no_more(piece: str) -> None:
    """A hundred thousand characters take no longer than four thousand."""
    begin = time.process_time()
    for _ in range(5):
        degenerate.is_degenerate((piece * 100_000)[:100_000])
    assert time.process_time() - begin < 0.5
