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


def grammar(feedback_max_words: int) -> str:
    """The one shape that an answer can have, as the EBNF that vLLM's structured outputs take.

    It fixes the white space, as ``json.dumps`` writes it: with free white space a model can write blanks
    until its tokens run out. For the same reason a blank stands between two words only, and words are
    bounded in number and length. Counting words, not characters, keeps the automaton small: 600 counted
    characters took xgrammar 26 ms a token, 100 words take 0.2 ms. The newline that may come first is the
    one that Gemma's chat template has after ``model`` and our prompt has not.
    """
    return "\n".join(
        (
            r'root ::= "\n"? "{\"nota\": " [0-5] ", \"feedback\": \"" feedback "\"}"',
            f'feedback ::= word (" " word){{0,{feedback_max_words - 1}}}',
            # Room for a word in quotation marks, which are escaped, and for what stands around it.
            r"word ::= escape? plain (escape rest (escape rest)?)?",
            r'rest ::= [^"\\\x00-\x20\x7f]{0,%d}' % MAX_WORD_CHARS,
            r'plain ::= [^"\\\x00-\x20\x7f]{1,%d}' % MAX_WORD_CHARS,
            'escape ::= "\\\\" ["\\\\/nt]',
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
