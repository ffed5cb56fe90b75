"""The production prompt, from the file that Triton's preprocess model uses, so the two can't drift apart."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import cast

_PROMPT_FILE = Path(__file__).resolve().parent.parent / "model_repository" / "preprocess" / "1" / "prompt.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("production_prompt", _PROMPT_FILE)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {_PROMPT_FILE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_MODULE = _load()

INSTRUCTION: str = _MODULE.INSTRUCTION
build_prompt = cast(Callable[[str, str, str], str], _MODULE.build_prompt)
"""`build_prompt(curso, consigna, respuesta)` returns the prompt, without <bos>, which the tokenizer adds."""
