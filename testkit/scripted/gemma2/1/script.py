"""What the scripted model does with a student's text. Pure.

A text can carry directives, anywhere, as often as needed:

``[[nota=4]]``        mark 4 (the default is 3)
``[[delay_ms=200]]``  answer after 200 ms
``[[raw=...]]``       answer with exactly these characters (base64, UTF-8) instead of a grade
``[[confidence=0.7]]``  be that sure of the mark, in log-probabilities; the next mark gets the rest
``[[garble]]``        answer with something that is not JSON
``[[garble_until=2]]``  the same, but only while the attempt is below 2 (see ``[[fail_until=2]]``)
``[[truncate]]``      answer with half a grade and finish reason "length"
``[[fail]]``          a Triton error instead of an answer
``[[fail_until=2]]``  the same, for the first requests with this text only: the second one passes
``[[die]]``           the model's process ends at once, without a word
``[[die_once=/path]]``  the same, but only while this file exists, which it removes
``[[hang]]``          no answer at all
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from dataclasses import dataclass

DIRECTIVE = re.compile(r"\[\[(\w+)(?:=([^\]]*))?\]\]")
ANSWER = re.compile(r'respon a ".*?":\n(.*)<end_of_turn>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One request's outcome; ``error`` wins over ``text``."""

    text: str
    finish_reason: str = "stop"
    logprobs: str = "null"
    delay_s: float = 0.0
    error: str = ""
    die: bool = False
    die_once: str = ""
    hang: bool = False


def logprobs(nota: int, confidence: float) -> str:
    """The tokens up to the mark as vLLM's log-probabilities, the one that was taken first."""
    before = {"1": {"logprob": 0.0, "rank": 1, "decoded_token": '{"nota": '}}
    chances = [(nota, confidence), ((nota + 1) % 6, 1 - confidence)]
    marks = {
        str(10 + mark): {"logprob": math.log(max(chance, 1e-9)), "rank": 1, "decoded_token": str(mark)}
        for mark, chance in chances
    }
    return json.dumps([before, marks])


def answer_for(prompt: str, seen: Counter[str]) -> ScriptedAnswer:
    """Read the directives in ``prompt``. ``seen`` counts earlier requests by text and is updated."""
    match = ANSWER.search(prompt)
    answer = match.group(1) if match else prompt
    directives = dict(DIRECTIVE.findall(answer))
    count = 1
    if "fail_until" in directives or "garble_until" in directives:
        seen[answer] += 1
        count = seen[answer]
    words = DIRECTIVE.sub("", answer).split()
    nota = int(directives.get("nota") or 3)
    grade = {"nota": nota, "feedback": f"Resposta: {words[0] if words else '-'}"}
    text, finish_reason, error = json.dumps(grade, ensure_ascii=False), "stop", ""
    if "raw" in directives:
        text = base64.b64decode(directives["raw"]).decode("utf-8")
    if "garble" in directives or count < int(directives.get("garble_until", 1)):
        text = "Bé, jo diria que està prou bé."
    if "truncate" in directives:
        text, finish_reason = text[: len(text) // 2], "length"
    if "fail" in directives or count < int(directives.get("fail_until", 1)):
        error = "Error generating stream: scripted failure"
    sure = logprobs(nota, float(directives["confidence"])) if "confidence" in directives else "null"
    return ScriptedAnswer(
        text,
        finish_reason,
        sure,
        delay_s=int(directives.get("delay_ms", 0)) / 1000,
        error=error,
        die="die" in directives,
        die_once=directives.get("die_once", ""),
        hang="hang" in directives,
    )
