"""Prompts turned into tokens before they reach the engine, which has no time for it.

It happens while the engine computes: the library lets go of the interpreter, and what vLLM and transformers
put around it, which takes as long again, is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from transformers import TokenizersBackend

Tokenize = Callable[[str], list[int]]

MAX_CHARACTERS = 20_000
"""Longer texts are left to vLLM, which refuses unread what can't fit, so that nobody waits for one."""


def direct(tokenizer: Any) -> Tokenize | None:
    """What makes tokens of a prompt as ``tokenizer`` does, special ones included; None for other kinds."""
    if not isinstance(tokenizer, TokenizersBackend):
        return None
    # Of our own: transformers tells the other one for each text what to cut and to fill up.
    plain = copy.deepcopy(tokenizer._tokenizer)
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = tokenizer.split_special_tokens

    def tokenize(text: str) -> list[int]:
        # Alone, a text would be encoded with the interpreter held.
        ids: list[int] = plain.encode_batch_fast([text])[0].ids
        return ids

    return tokenize
