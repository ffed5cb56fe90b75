"""What `make run` starts, as the environment says."""

from __future__ import annotations

import pytest

from local_stack.plan import make_plan
from orchestrator.config import Settings


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
