"""What every side of a comparison is asked: the same texts, with the same prompts and sampling."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from demo_model.dataset import items
from demo_model.phrases import Side
from triton_common.repository import SOURCE

FIELDS = ("curso", "consigna", "respuesta")
FIXED_TOKENS = 40
WARM_UP_ITEMS = 32
WARM_UP_FIRST = 5_000_000
"""Texts to warm up with lie far behind those that are measured: nobody may find them in a cache."""

# Both engines alike: as many threads as `triton_cpu` gives the model, nothing compiled, free to write.
THREADS = str(max(1, len(os.sched_getaffinity(0)) - 1))
ENGINE_ENVIRONMENT = {"OMP_NUM_THREADS": THREADS, "TORCHDYNAMO_DISABLE": "1"}
FREE = {"CONSTRAINED_OUTPUT": "false", "CONFIDENCE": "false"}


@dataclass(frozen=True, slots=True)
class Question:
    """One text: as ``POST /evaluate`` takes it, and as vLLM does."""

    item: Mapping[str, str]
    prompt: str
    sampling: Mapping[str, Any]


def beside_preprocess(name: str) -> ModuleType:
    """A module beside the preprocess model, which is no package: Triton puts its folder on the path."""
    folder = str(SOURCE / "preprocess" / "1")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def forced(tokens: int | None) -> dict[str, Any]:
    """The sampling parameters that make every answer ``tokens`` long; none where it may end by itself."""
    return {} if tokens is None else {"max_tokens": tokens, "min_tokens": tokens, "ignore_eos": True}


def ask(texts: Sequence[Mapping[str, str]], tokens: int | None) -> list[Question]:
    """The questions that the ensemble makes of ``texts``."""
    prompt, sampling = beside_preprocess("prompt"), beside_preprocess("sampling")
    questions = []
    for text in texts:
        fields = tuple(text[name] for name in FIELDS)
        parameters = {**sampling.sampling_parameters(*fields, attempt=1), **forced(tokens)}
        questions.append(Question(text, prompt.build_prompt(*fields), parameters))
    return questions


def held_out(count: int, first: int, tokens: int | None) -> list[Question]:
    """Made-up answers of students, from number ``first`` on."""
    return ask([item.request() for item in items(Side.HELD_OUT, count, first=first)], tokens)


def overlay(folder: Path, tokens: int) -> Path:
    """A preprocess model whose answers are all ``tokens`` long, to be laid over ours.

    No client and no setting can ask for that. Returns ``folder``.
    """
    shutil.copytree(
        SOURCE / "preprocess", folder / "preprocess", ignore=shutil.ignore_patterns("__pycache__")
    )
    with (folder / "preprocess" / "1" / "sampling.py").open("a", encoding="utf-8") as sampling:
        sampling.write(f"\nBASE.update({forced(tokens)!r})\n")
    return folder
