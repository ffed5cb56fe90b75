"""The prompt that the grading model was trained on. Pure: no Triton, no I/O.

Source: the service's original requirements (`_format_prompt`), byte for byte. The model saw no
newline after ``<start_of_turn>model``, so none may be added; the tokenizer adds ``<bos>``.
"""

from __future__ import annotations

INSTRUCTION = """Ets una professora experimentada avaluant textos d'estudiants catalans.
Has d'avaluar amb una nota de 0 a 5 i proporcionar feedback constructiu.

Escala d'avaluació:
0 = Molt per sota del nivell
1 = Per sota del nivell
2 = Just acceptable
3 = Nivell esperat
4 = Per sobre del nivell
5 = Excel·lent

Respon NOMÉS amb JSON: {"nota": X, "feedback": "..."}"""


def build_prompt(curso: str, consigna: str, respuesta: str) -> str:
    """Return the whole prompt for one answer, up to where the model starts to write.

    ``curso`` is the student's course ("3r ESO"), ``consigna`` the assignment, ``respuesta`` the
    student's text. Nothing is escaped or cut here.
    """
    return (
        f"<start_of_turn>user\n{INSTRUCTION}\n\n"
        f'Alumne de {curso} respon a "{consigna}":\n{respuesta}<end_of_turn>\n'
        "<start_of_turn>model"
    )
