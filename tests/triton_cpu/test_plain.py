"""Paths that Triton's Python backend can't take get plain names."""

from __future__ import annotations

from pathlib import Path

import pytest

from triton_cpu import plain as links
from triton_cpu.plain import NoPlainPathError, plain, plain_environment
from triton_cpu.serve import with_plain_paths


@pytest.fixture(autouse=True)
def _links_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder with a space and an accent, with an environment and a model."""
    folder = tmp_path / "home" / "Màster TFM" / "avalua"
    (folder / ".venv-server" / "bin").mkdir(parents=True)
    (folder / "model").mkdir()
    return folder


def test_a_plain_path_is_left_as_it_is(tmp_path: Path) -> None:
    """Most paths are, and get no link."""
    assert plain(tmp_path / "x.y-z_1") == tmp_path / "x.y-z_1"
    assert list((tmp_path / "runtime").iterdir()) == []


@pytest.mark.parametrize("name", ["a space", "Màster", "Màster TFM", "a'b", "$HOME", "línia\n", "a;b", "a:b"])
def test_any_other_leads_to_the_same_place(tmp_path: Path, name: str) -> None:
    """By way of a path whose signs mean nothing to a shell; asked twice it is the same."""
    folder = tmp_path / name
    (folder / "below").mkdir(parents=True)
    found = plain(folder / "below")
    assert links.PLAIN.fullmatch(str(found))
    assert found.resolve() == (folder / "below").resolve()
    assert plain(folder / "below") == found


def test_what_lies_together_stays_together(checkout: Path) -> None:
    """An environment's programs find it above them: the link stands for what is above both."""
    programs = plain(checkout / ".venv-server" / "bin")
    assert programs.parent == plain(checkout / ".venv-server")
    assert programs.parent.parent == plain(checkout)


def test_engine_arguments_and_environment(checkout: Path) -> None:
    """Folders in them are reached by plain paths; names on the hub, and everything else, are left alone."""
    given = {"model": str(checkout / "model"), "tokenizer": "somebody/a model", "dtype": "auto", "seed": 3}
    assert with_plain_paths(given) == {**given, "model": str(plain(checkout / "model"))}
    environment = {"PATH": f"/usr/bin:{checkout}", "NAME": "Màster TFM", "GONE": "/no where", "EMPTY": ""}
    assert plain_environment(environment) == {**environment, "PATH": f"/usr/bin:{plain(checkout)}"}


def test_a_link_that_leads_elsewhere_is_set_right(tmp_path: Path) -> None:
    """As one that is left from a folder of the same name."""
    (tmp_path / "a b").mkdir()
    link = plain(tmp_path / "a b")
    link.unlink()
    link.symlink_to("/nowhere")
    assert plain(tmp_path / "a b").resolve() == tmp_path / "a b"


def test_a_folder_of_links_that_others_can_change_is_not_used(tmp_path: Path) -> None:
    """They could lead the server to programs of theirs: one line says what to do."""
    folder = plain(tmp_path / "a b").parent
    folder.chmod(0o777)
    with pytest.raises(NoPlainPathError, match="is not ours alone: remove it, or set XDG_RUNTIME_DIR"):
        plain(tmp_path / "a b")
