"""The modules that lie beside Triton's models: no packages, as Triton puts their folders on the path."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from testkit.triton import ROOT

FOLDERS = tuple(str(ROOT / "model_repository" / model / "1") for model in ("preprocess", "postprocess"))


def beside(name: str) -> Any:
    """The module ``name``. Only ``model`` exists twice, and it needs Triton."""
    for folder in FOLDERS:
        if folder not in sys.path:
            sys.path.append(folder)
    return importlib.import_module(name)
