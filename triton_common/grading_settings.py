"""What an operator can set about prompts and answers, checked before the server starts.

Triton's own models read the same variables (``model_repository/preprocess/1/settings.py`` and
``postprocess/1/confidence.py``): they must work where this package isn't at hand.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from triton_common.repository import SOURCE
from triton_common.settings import EnvSettings


def _read_template() -> Callable[[Path], Any]:
    """The reader that Triton's preprocess model uses, from its own file."""
    name = "preprocess_template"
    spec = importlib.util.spec_from_file_location(name, SOURCE / "preprocess" / "1" / "template.py")
    if spec is None or spec.loader is None:
        raise ImportError("The preprocess model lacks its template.py.")
    # Dataclasses look their own module up.
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Callable[[Path], Any], module.Template.read)


class GradingSettings(EnvSettings):
    """Settings of the steps around the model."""

    constrained_output: bool = True
    on_too_long: Literal["truncate", "reject"] = "truncate"
    min_share_kept: float = Field(0.5, ge=0, le=1)
    normalise_text: bool = True
    prompt_template: str = ""
    confidence: bool = True
    low_confidence: float = Field(0.6, ge=0, le=1)

    @field_validator("prompt_template")
    @classmethod
    def _check_template(cls, value: str) -> str:
        if value:
            _read_template()(Path(value))  # a ValueError says what is wrong with it
        return value
