"""Laying out the model repository that a Triton serves.

It is ours, with ``model.json`` rendered from the settings.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent.parent / "model_repository"


def lay_out(
    target: Path,
    engine_args: Mapping[str, Any] | None,
    *,
    source: Path = SOURCE,
    overlay: Path | None = None,
) -> Path:
    """Copy ``source`` to ``target``, replacing what was there, and render gemma2's ``model.json``.

    ``overlay`` is a folder of models that take the place of those with the same name. Without
    ``engine_args`` nothing is rendered (for a gemma2 that is not vLLM's). Returns ``target``.
    """
    if target.exists():
        shutil.rmtree(target)
    ignore = shutil.ignore_patterns("__pycache__", ".*_cache", ".gitkeep")
    shutil.copytree(source, target, ignore=ignore)
    if overlay is not None:
        for model in (path for path in overlay.iterdir() if path.is_dir()):
            shutil.rmtree(target / model.name, ignore_errors=True)
            shutil.copytree(model, target / model.name, ignore=ignore)
    if engine_args is not None:
        path = target / "gemma2" / "1" / "model.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dict(engine_args), indent=2) + "\n", encoding="utf-8")
    return target
