"""The alert rules, as Prometheus's own tool sees them, and what each tells an operator."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from testkit.triton import ROOT
from tests.monitoring.expressions import rules
from tests.prometheus_process import MONITORING, program

RULES = {rule["alert"]: rule for rule in rules()}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint-fatal", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_to_say(arguments: tuple[str, ...]) -> None:
    """The configuration is valid, and each alert fires and keeps still as its tests say."""
    ended = subprocess.run(
        [program("promtool"), *arguments],
        cwd=MONITORING, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_is_shown_to_fire_and_not_to() -> None:
    """alerts_test.yml has both cases of each alert."""
    parsed = yaml.safe_load((MONITORING / "alerts_test.yml").read_text(encoding="utf-8"))
    cases = [case for test in parsed["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(RULES)
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_alert_says_what_is_wrong_and_a_readme_what_to_do(name: str) -> None:
    """Each alert has a severity and a sentence, and its runbook is a line that names it."""
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].endswith(".")
    file, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == name.lower()
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    told = [line for line in lines if f'<a id="{anchor}"></a>' in line]
    assert len(told) == 1, f"{file} has no line for {name}"
    assert len(re.sub(r"<[^>]*>|\W", "", told[0].replace(name, ""))) > 40
