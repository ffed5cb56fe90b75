"""What stops ``make run`` before anything is started: one line that says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from local_stack.checks import check_model
from local_stack.plan import PlanError, make_plan
from local_stack.ports import free_ports
from local_stack.temporary import private_settings
from testkit.triton import ROOT

NAMES = ("PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT", "TRITON_HTTP_PORT")


def refused(run_dir: Path, more: Mapping[str, str]) -> str:
    """The one line with which it ends, before anything is started."""
    environment = {**os.environ, **private_settings(run_dir), **more}
    ended = subprocess.run(
        [sys.executable, "-m", "local_stack"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 1
    assert not (run_dir / "triton.log").exists()
    return line


@pytest.mark.parametrize("name", NAMES)
def test_a_port_that_is_taken(tmp_path: Path, name: str) -> None:
    """Also the orchestrator's, which another one would answer on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = refused(tmp_path, {name: str(port)})
    assert f"{name}={port} can't be used on 127.0.0.1 (Address already in use)" in line
    assert f"set {name} to a free port" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", "http://127.0.0.1"),
        ("TRITON_HOST", "no such name"),
        ("DATABASE_URL", "nonsense"),
        ("MAX_ITEMS", "many"),
        ("PORT", "9" * 5000),
        ("PORT", "\uff18\uff10\uff10\uff10"),
        ("MODEL_NAME", "/nowhere/model"),
        ("MODEL_NAME", "a" * 300),
    ],
)
def test_a_setting_that_makes_no_sense(tmp_path: Path, name: str, value: str) -> None:
    """The line names it; those of the orchestrator come before Triton is started, too."""
    assert name in refused(tmp_path, {name: value})


def test_a_run_dir_that_cannot_be_one(tmp_path: Path) -> None:
    """A link that leads to itself, a path that is not UTF-8, and one in which SQLite opens no file."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    long = tmp_path / "à" / "/".join(["b" * 200] * 3)
    for path in (str(loop), f"{tmp_path}/\udcff", str(long)):
        assert "RUN_DIR=" in refused(tmp_path / "unused", {"RUN_DIR": path})


@pytest.mark.parametrize(
    "name", ["./missing", "../missing", "~/model", "a b", "a/b/c", "empty/", "./model.gguf"]
)
def test_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is no folder with a model, nor could be a name on the hub."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlanError, match="no model is there"):
        check_model(name)


def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a configuration, one file in the GGUF format, a name on the hub."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").touch()
    (tmp_path / "a model.gguf").touch()
    for name in ("folder", f"{tmp_path}/folder/", "a model.gguf", "gpt2", "organisation/model-9b_x.y"):
        check_model(name)


def test_a_notice_in_another_encoding_is_shown_as_well_as_can_be(tmp_path: Path) -> None:
    """It stops nothing."""
    (tmp_path / "NOTICE.txt").write_bytes("Només proves\xed\n".encode("latin-1"))
    plan = make_plan({"MODEL_NAME": str(tmp_path), "PORT": str(free_ports(1)[0])})
    assert plan.notice == "Nom\ufffds proves\ufffd"
