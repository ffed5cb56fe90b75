"""Check each grammar once: vLLM parses it anew for every request, and ours come with the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vllm.v1.structured_output import backend_xgrammar

MAX_KNOWN = 64

Validate = Callable[[Any], None]


def checking_once(validate: Validate) -> Validate:
    """``validate_xgrammar_grammar`` for grammars that it has not seen yet."""
    good: set[str] = set()

    def validate_once(params: Any) -> None:
        wanted = params.structured_outputs
        grammar = wanted.grammar if wanted is not None else None
        if grammar is not None and grammar in good:
            return
        validate(params)
        # One that was rewritten on the way has to be so each time.
        if grammar is not None and wanted.grammar == grammar and len(good) < MAX_KNOWN:
            good.add(grammar)

    return validate_once


def check_grammars_once() -> None:
    """Have this process's engine do so."""
    backend_xgrammar.validate_xgrammar_grammar = checking_once(backend_xgrammar.validate_xgrammar_grammar)
