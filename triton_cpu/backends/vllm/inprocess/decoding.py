"""Decode each token of the vocabulary once, instead of each time that it is among the likeliest.

With log-probabilities vLLM decodes every alternative at every step: a third of what its thread did in Python
here. The results depend on the token alone. vLLM has no setting for this, so its function is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vllm.v1.engine import logprobs

Convert = Callable[[Any, Sequence[int]], list[str]]


def remembering(convert: Convert) -> Convert:
    """``convert`` for one tokenizer, with a memory as large as its vocabulary at most."""
    known: dict[int, str] = {}

    def convert_once(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
        for token in token_ids:
            if token not in known:
                (known[token],) = convert(tokenizer, [token])
        return [known[token] for token in token_ids]

    return convert_once


def remember_decoded_tokens() -> None:
    """Have this process's engine, of which there is one, decode each token once."""
    logprobs.convert_ids_list_to_tokens = remembering(logprobs.convert_ids_list_to_tokens)
