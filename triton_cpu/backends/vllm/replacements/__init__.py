"""Replacements of private functions of vLLM: the same answers at less cost on the CPU.

Each module is one replacement, known by its name. Its ``PATCHES`` are (owner, attribute, wrapper), where
``wrapper`` makes the new function of vLLM's own. ``benchmarks/replacements.py`` measures what each is worth.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib import import_module

import vllm

logger = logging.getLogger(__name__)

WRITTEN_FOR = "0.32.0"
"""Private functions may change with any release: another one is left as it is."""


def apply(names: Iterable[str]) -> list[str]:
    """Have this process's engine, of which there is one, use these replacements. Call it once.

    Returns the names of those that are in use: none where vLLM's version is another than they were written
    for, which one warning says.
    """
    chosen = list(names)
    # Builds say after a + what they were made for.
    if chosen and vllm.__version__.partition("+")[0] != WRITTEN_FOR:
        logger.warning(
            "vLLM is %s, and its replacements for the CPU were written for %s: "
            "vLLM's own functions are used, which is slower.",
            vllm.__version__,
            WRITTEN_FOR,
        )
        return []
    for name in chosen:
        for owner, attribute, wrapper in import_module(f"replacements.{name}").PATCHES:
            setattr(owner, attribute, wrapper(getattr(owner, attribute)))
    return chosen
