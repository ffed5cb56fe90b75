"""What the alert rules and the dashboard ask Prometheus."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from tests.prometheus_process import MONITORING

RATE_INTERVAL = "$__rate_interval"  # Grafana fills it in
OURS = r"(?:avalua_|nv_|vllm:|process_)[a-z0-9_:]+|up"
SELECTOR = re.compile(rf"(?<![\w:]){OURS}(?![\w:])(?:\{{[^}}]*\}})?".replace(OURS, f"(?:{OURS})"))


def rules() -> list[dict[str, Any]]:
    parsed = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in parsed["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    path = MONITORING / "grafana" / "dashboards" / "avalua.json"
    parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return parsed


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_expressions(window: str) -> list[str]:
    """The dashboard's expressions, with rates over ``window``."""
    targets = [target for panel in panels() for target in panel["targets"]]
    return [target["expr"].replace(RATE_INTERVAL, window) for target in targets]


def selectors(expression: str) -> list[str]:
    """The series that an expression reads: names of metrics, with their labels where it has some."""
    return SELECTOR.findall(expression)
