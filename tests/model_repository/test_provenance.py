"""Where a mark comes from is told truly: the model's own commit, what a hash covers, what is served now."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.model_repository.beside import beside

provenance = beside("provenance")
COMMIT, OTHER = "1" * 40, "2" * 40


def cached(cache: Path, name: str, commit: str, reference: str = "main") -> None:
    """What the hub's client leaves of a repository that it fetched."""
    path = cache / f"models--{name.replace('/', '--')}" / "refs" / reference
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(commit, encoding="ascii")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "repository"


def serve(repository: Path, **engine: Any) -> None:
    path = repository / "gemma2" / "1" / "model.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(engine), encoding="utf-8")


def teller(repository: Path) -> Any:
    return provenance.Provenance(repository, template_sha256="0", sampling={}, normalise_text=True)


def test_the_models_revision_is_the_models(repository: Path, tmp_path: Path) -> None:
    """Not its tokenizer's, which is named with its own."""
    cached(tmp_path / "hub", "some/model", COMMIT)
    cached(tmp_path / "hub", "other/words", OTHER)
    serve(repository, model="some/model", tokenizer="other/words")
    told = json.loads(teller(repository).told())
    assert told["model"] == {"name": "some/model", "revision": COMMIT, "weights": ""}
    assert told["tokenizer"] == {"name": "other/words", "revision": OTHER}


def test_a_branch_is_told_as_its_commit(repository: Path, tmp_path: Path) -> None:
    """Where weights lie in a place of their own, too; a commit that was asked for is itself."""
    cached(tmp_path / "weights", "some/model", COMMIT, "refs/pr/7")
    cached(tmp_path / "hub", "some/model", OTHER, "refs/pr/7")
    serve(repository, model="some/model", revision="refs/pr/7", download_dir=str(tmp_path / "weights"))
    told = json.loads(teller(repository).told())
    assert (told["model"]["revision"], told["tokenizer"]["revision"]) == (COMMIT, OTHER)
    serve(repository, model="some/model", revision="3" * 40)
    assert json.loads(teller(repository).told())["model"]["revision"] == "3" * 40


def test_a_folder_of_the_hubs_cache_has_its_names(repository: Path, tmp_path: Path) -> None:
    """A model that is given as such a folder is named as on the hub."""
    folder = tmp_path / "hub" / "models--some--model" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    serve(repository, model=str(folder))
    told = json.loads(teller(repository).told())["model"]
    assert (told["name"], told["revision"]) == ("some/model", COMMIT)


def test_a_hash_of_samples_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small model's files are hashed whole; of a large one's a part, under another name."""
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    files = provenance.files_of_weights(tmp_path)
    whole = provenance.weights_hash(files)
    monkeypatch.setattr(provenance, "WHOLE_BYTES", 10)
    sampled = provenance.weights_hash.__wrapped__(files)
    assert (set(whole), set(sampled)) == ({"weights"}, {"weights_sampled"})
    assert sampled["weights_sampled"].startswith("sampled-sha256:")


def test_what_is_served_now_is_told(repository: Path, tmp_path: Path) -> None:
    """Other arguments or other weights under the same name are told when they are asked for next."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"1" * 100)
    serve(repository, model=str(folder), max_num_seqs=8)
    asked = teller(repository)
    first = asked.told()
    assert asked.told() == first
    (folder / "model.safetensors").write_bytes(b"2" * 100)
    os.utime(folder / "model.safetensors", ns=(1, 1))
    second = asked.told()
    serve(repository, model=str(folder), max_num_seqs=16)
    third = asked.told()
    assert len({first, second, third}) == 3
    (repository / "gemma2" / "1" / "model.json").write_text('{"model": ', encoding="utf-8")
    assert asked.told() == third, "a file that is being written says nothing"
