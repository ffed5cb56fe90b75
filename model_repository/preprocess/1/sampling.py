"""How the model samples: fixed by us, never by a client. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

# Source of the first three: the service's original requirements.
MAX_TOKENS = 200
BASE = {"temperature": 0.1, "top_p": 0.95, "max_tokens": MAX_TOKENS, "skip_special_tokens": True}

MARKS = 6
"""Log-probabilities asked for at each token: as many as there are marks. All six are among the likeliest
where a trained model writes its mark, and each further one costs time at every token."""


MAX_WORD_CHARS = 40


WORD_CHARS = 40
"""No word in any of the languages that we mark is longer."""


def grammar(feedback_max_words: int) -> str:
    """The one shape that an answer can have, as the EBNF that vLLM's structured outputs take.

    It fixes the white space, as ``json.dumps`` writes it: with free white space a model can write blanks
    until its tokens run out. For the same reason the feedback is words with one blank, line break or
    quotation mark between them, and both their length and their number are bounded. The newline that may
    come first is the one that Gemma's chat template has after ``model`` and our prompt has not.

    Quotation marks stand beside words, not within them: in a repetition of alternatives xgrammar takes
    milliseconds for each token, and with optional blanks in it a hundred times more.
    """
    return "\n".join(
        (
            r'root ::= "\n"? "{\"nota\": " [0-5] ", \"feedback\": \"" feedback "\"}"',
            f"feedback ::= quote? word (between word){{0,{feedback_max_words - 1}}} quote?",
            r'between ::= " " | "\\n" | " \\\"" | "\\\" " | "\\\""',
            r'quote ::= "\\\""',
            rf'word ::= [^"\\\x00-\x20\x7f]{{1,{WORD_CHARS}}}',
        )
    )


class Sampling:
    """The sampling parameters of this server, but for the seed."""

    def __init__(self, *, constrained: bool, feedback_max_words: int, logprobs: bool) -> None:
        self.parameters: dict[str, Any] = dict(BASE)
        if constrained:
            # Triton's vLLM backend takes the constraint as a JSON string inside the JSON object.
            self.parameters["structured_outputs"] = json.dumps({"grammar": grammar(feedback_max_words)})
        if logprobs:
            self.parameters["logprobs"] = MARKS
        self._head = json.dumps(self.parameters)[:-1]

    def with_seed(self, number: int) -> str:
        """All parameters as JSON. Only the seed is written anew: the rest is the same for every item."""
        return f'{self._head}, "seed": {number}}}'


def seed(curso: str, consigna: str, respuesta: str, *, attempt: int) -> int:
    """The seed of one attempt (from 1) at one answer.

    It comes from the content, so the same answer is marked alike every time, and from the attempt, so
    that trying again can end otherwise.
    """
    content = "\x1f".join((curso, consigna, respuesta, str(attempt)))
    return int.from_bytes(hashlib.sha256(content.encode("utf-8", "replace")).digest()[:4], "big")


def sampling_parameters(curso: str, consigna: str, respuesta: str, *, attempt: int) -> dict[str, Any]:
    """The parameters for one attempt at one answer, without a constraint: for vLLM without Triton."""
    return {**BASE, "seed": seed(curso, consigna, respuesta, attempt=attempt)}
