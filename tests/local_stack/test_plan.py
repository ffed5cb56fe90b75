"""What `make run` starts, as the environment says."""

from __future__ import annotations

import os

import pytest

from local_stack.checks import check_memory
from local_stack.plan import PlanError, make_plan
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


def test_two_tritons_have_ports_logs_and_folders_of_their_own() -> None:
    """The second one's ports lie ten further, and the orchestrator is told of both."""
    plan = make_plan({"TRITONS": "2", "RUN_DIR": "/run"})
    one, two = plan.tritons
    assert (one.name, two.name) == ("Triton 1", "Triton 2")
    assert list(two.ports.by_setting().values()) == [8011, 8012, 8013]
    assert two.environment["TRITON_HTTP_PORT"] == "8013"
    assert (str(one.log), str(two.log)) == ("/run/triton.log", "/run/triton-2.log")
    assert "/run/triton" in one.command
    assert "/run/triton-2" in two.command
    assert plan.environment["TRITON_GRPC_URL"] == "127.0.0.1:8001,127.0.0.1:8011"
    assert plan.environment["TRITON_METRICS_URL"] == (
        "http://127.0.0.1:8002/metrics,http://127.0.0.1:8012/metrics"
    )


def test_one_triton_is_the_default() -> None:
    """It is called just that, and chooses its threads by itself."""
    for env in ({}, {"TRITONS": ""}, {"TRITONS": "1"}):
        (only,) = make_plan(env).tritons
        assert only.name == "Triton"
        assert "OMP_NUM_THREADS" not in only.environment


def test_two_tritons_divide_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but one, which is everybody else's; each has one at least, and what is set by hand is kept."""
    for cores, threads in ((1, "1"), (2, "1"), (3, "1"), (5, "2"), (16, "7")):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        plan = make_plan({"TRITONS": "2"})
        assert [one.environment["OMP_NUM_THREADS"] for one in plan.tritons] == [threads, threads]
    plan = make_plan({"TRITONS": "2", "OMP_NUM_THREADS": "5"})
    assert {one.environment["OMP_NUM_THREADS"] for one in plan.tritons} == {"5"}


@pytest.mark.parametrize("given", ["0", "-1", "two", "17", "1.5", "\uff12"])
def test_a_number_of_tritons_that_makes_no_sense(given: str) -> None:
    """One line names the setting."""
    with pytest.raises(PlanError, match="TRITONS="):
        make_plan({"TRITONS": given})


def test_ports_of_two_tritons_that_meet_or_do_not_exist() -> None:
    """The line names whose they are."""
    with pytest.raises(PlanError, match=r"PORT=8011, .*TRITON_GRPC_PORT \(Triton 2\)=8011"):
        make_plan({"TRITONS": "2", "PORT": "8011"})
    with pytest.raises(PlanError, match=r"TRITON_HTTP_PORT \(Triton 2\)=65540"):
        make_plan({"TRITONS": "2", "TRITON_HTTP_PORT": "65530"})


def test_memory_must_do_for_all_tritons() -> None:
    """Each sees enough for itself when all start at once."""
    check_memory(1, 0)
    check_memory(2, 6 << 30)
    with pytest.raises(PlanError, match=r"TRITONS=2 needs 6 GiB of free memory, and there are 5\.0 GiB"):
        check_memory(2, 5 << 30)
