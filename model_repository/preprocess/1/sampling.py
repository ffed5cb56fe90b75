"""How the model samples: fixed by us, never by a client. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from grammar import BOUNDED_GRAMMAR, GRAMMAR, MARK_WITHIN

# Source of the first three: the service's original requirements.
MAX_TOKENS = 200
BASE = {"temperature": 0.1, "top_p": 0.95, "max_tokens": MAX_TOKENS, "skip_special_tokens": True}

MARKS = 6
"""Log-probabilities asked for at each token: as many as there are marks. All six are among the likeliest
where a trained model writes its mark, and each further one costs time at every token."""


def as_parameter(grammar: str) -> str:
    """Triton's vLLM backend takes the constraint as a JSON string inside the JSON object."""
    return json.dumps({"grammar": grammar})


class Sampling:
    """The sampling parameters of this server, but for the seed."""

    def __init__(self, *, constrained: bool, logprobs: bool) -> None:
        self.parameters: dict[str, Any] = dict(BASE)
        if logprobs:
            self.parameters["logprobs"] = MARKS
        if logprobs and constrained:
            # The engine on the CPU reads it, and vLLM elsewhere gives them for all tokens.
            self.parameters["extra_args"] = {"logprobs_tokens": MARK_WITHIN}
        further = dict(self.parameters)
        if constrained:
            self.parameters["structured_outputs"] = as_parameter(GRAMMAR)
            further["structured_outputs"] = as_parameter(BOUNDED_GRAMMAR)
        self._first, self._further = json.dumps(self.parameters)[:-1], json.dumps(further)[:-1]

    def with_seed(self, number: int, *, attempt: int = 1) -> str:
        """All parameters as JSON. Only the seed is written anew: the rest is the same for every item."""
        return f'{self._first if attempt <= 1 else self._further}, "seed": {number}}}'


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
