"""A real Prometheus scrapes the whole stack: what operators look at is there, under the names they use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.monitoring.expressions import dashboard_expressions, rules, selectors
from tests.prometheus_process import PrometheusProcess
from tests.whole_stack.conftest import LocalStack
from tests.whole_stack.test_class import CLASS, call, events

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("whole-stack")]

WINDOW = "1m"
DEADLINE_S = 60.0
SCRAPES_S = 0.25
# A machine without a GPU has none of these; the dashboard then shows the CPU.
NOT_HERE = "nv_gpu_"


@pytest.fixture(scope="module")
def prometheus(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    """A Prometheus that has seen the stack before and after a class was marked."""
    targets = {
        "orchestrator": f"127.0.0.1:{stack.port}",
        "triton": f"127.0.0.1:{stack.metrics_port}",
    }
    server = PrometheusProcess(tmp_path_factory.mktemp("prometheus"), targets)
    try:
        server.wait_ready()
        until(lambda: len(server.numbers("up == 1")) == 2, "both targets are up")
        job = call(f"{stack.url}/evaluate", {"items": CLASS})
        assert events(stack.url + job["stream_url"])[-1]["data"]["status"] == "completed"
        yield server
    finally:
        server.stop()


def until(holds: Callable[[], bool], what: str) -> None:
    """Return once ``holds()``: a scrape can't be waited for, only asked about."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(SCRAPES_S)


def test_both_targets_are_up(prometheus: PrometheusProcess) -> None:
    """Prometheus reaches the orchestrator and Triton, and finds no fault in their pages."""
    targets = prometheus.ask("targets", state="active")["activeTargets"]
    assert {(target["labels"]["job"], target["health"], target["lastError"]) for target in targets} == {
        ("orchestrator", "up", ""),
        ("triton", "up", ""),
    }


def test_every_expression_of_the_dashboard_gives_a_number(prometheus: PrometheusProcess) -> None:
    """Each expression parses, and after one class each gives a number."""
    waiting = dashboard_expressions(WINDOW)

    def all_told() -> bool:
        waiting[:] = [expression for expression in waiting if not prometheus.numbers(expression)]
        return not waiting

    try:
        until(all_told, "every expression gives a number")
    except AssertionError:
        pytest.fail("no number from:\n" + "\n".join(waiting))


def test_every_series_that_is_read_is_exported(prometheus: PrometheusProcess) -> None:
    """Each selector of the rules and the dashboard finds series: no name and no label is misspelt."""
    expressions = [rule["expr"] for rule in rules()] + dashboard_expressions(WINDOW)
    every = {selector for expression in expressions for selector in selectors(expression)}
    assert len(every) > 30
    missing = {selector for selector in every if not prometheus.ask("series", **{"match[]": selector})}
    assert {selector for selector in missing if not selector.startswith(NOT_HERE)} == set()


def test_every_rule_is_evaluated_and_a_healthy_stack_raises_no_alert(prometheus: PrometheusProcess) -> None:
    """Prometheus evaluates each alert without an error, and none fires."""

    def evaluated() -> list[dict[str, str]]:
        groups = prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in evaluated()), "every rule was evaluated")
    told = {rule["name"]: (rule["health"], rule["state"]) for rule in evaluated()}
    assert set(told) == {rule["alert"] for rule in rules()}
    assert {name for name, (health, _) in told.items() if health != "ok"} == set()
    assert {name for name, (_, state) in told.items() if state == "firing"} == set(), json.dumps(told)
