"""What `make run` starts, as the environment says."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.plan import PlanError, make_plan
from local_stack.temporary import private_settings
from orchestrator.config import Settings
from tests.triton_process import ROOT


def test_it_listens_to_this_machine_alone_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HOST, or with an empty one, the orchestrator is given a loopback address; it has none other."""
    monkeypatch.delenv("HOST", raising=False)
    for env in ({}, {"HOST": ""}):
        plan = make_plan(env)
        assert (plan.host, plan.environment["HOST"]) == ("127.0.0.1", "127.0.0.1")
    assert Settings().host == "127.0.0.1"


def test_it_listens_where_it_is_told() -> None:
    """HOST is passed on as it is, and the banner shows an address that can be opened."""
    plan = make_plan({"HOST": "0.0.0.0"})  # noqa: S104
    assert plan.environment["HOST"] == "0.0.0.0"  # noqa: S104
    assert plan.orchestrator_url == "http://localhost:8000"


@pytest.mark.parametrize("name", ["/nothere", "./model", "~/model", "a/b/c", "el meu model", "owner/"])
def test_a_model_that_can_be_nowhere_is_named(name: str) -> None:
    """Neither a folder nor a name on the hub: one line, before anything is started."""
    with pytest.raises(PlanError, match=r"MODEL_NAME=.*no such folder, and it is no name on the hub"):
        make_plan({"MODEL_NAME": name})


@pytest.mark.parametrize("setting", ["PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT", "TRITON_HTTP_PORT"])
def test_a_port_that_is_taken_is_named_before_anything_starts(setting: str, tmp_path: Path) -> None:
    """Who listens there must not pass for a part of ours: no banner, and no log of a part."""
    settings = private_settings(tmp_path)
    with socket.create_server(("127.0.0.1", int(settings[setting]))):
        ended = subprocess.run(
            [sys.executable, "-m", "local_stack"],
            cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.endswith(f"(Address already in use): set {setting} to a free port.")
    assert not list(tmp_path.glob("*.log"))
