"""What docker-compose.yml and Grafana are given, as far as it can be seen without running them."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import yaml

from testkit.triton import ROOT
from tests.monitoring.expressions import OURS, dashboard, dashboard_expressions, panels, selectors
from tests.prometheus_process import MONITORING

GRAFANA = MONITORING / "grafana"


def services() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[
        "services"
    ]
    return parsed


def mounts(name: str) -> dict[str, str]:
    """Where a service finds our files: its path to ours."""
    binds = [volume.split(":") for volume in services()[name]["volumes"] if volume.startswith("./")]
    assert all(mode == "ro" for _, _, mode in binds)
    return {target: source for source, target, _ in binds}


def provisioned(path: str) -> Any:
    return yaml.safe_load((GRAFANA / "provisioning" / path).read_text(encoding="utf-8"))


def test_monitoring_is_asked_for_pinned_and_seen_here_alone() -> None:
    """Both services start with their profile only, in one exact version, and listen to this machine only."""
    watching = {name for name, service in services().items() if service.get("profiles") == ["monitoring"]}
    assert watching == {"prometheus", "grafana"}
    for name in watching:
        assert re.search(r":v?\d+\.\d+\.\d+$", services()[name]["image"])
        assert [port.split(":")[0] for port in services()[name]["ports"]] == ["127.0.0.1"]


def test_grafana_shows_and_lets_nobody_in() -> None:
    """Who looks is a viewer, and there is no password, since there is nobody to log in."""
    environment = services()["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert not [name for name in environment if "PASSWORD" in name]


def test_what_is_mounted_is_where_it_is_looked_for() -> None:
    """Every mounted file exists, and the places named in the configuration are those mounts."""
    for name in ("prometheus", "grafana"):
        for source in mounts(name).values():
            assert (ROOT / source).exists(), source
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    for rule_file in config["rule_files"]:
        assert mounts("prometheus")[f"/etc/prometheus/{rule_file}"] == f"./monitoring/{rule_file}"
    (provider,) = provisioned("dashboards/avalua.yml")["providers"]
    assert mounts("grafana")[provider["options"]["path"]] == "./monitoring/grafana/dashboards"
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/avalua.json"


def test_prometheus_asks_the_services_where_they_listen() -> None:
    """Both targets are services of docker-compose.yml, at the ports that they have inside."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    expected = {
        "orchestrator": services()["orchestrator"]["environment"]["PORT"],
        "triton": services()["triton"]["environment"]["TRITON_METRICS_PORT"],
    }
    assert targets == {name: [f"{name}:{port}"] for name, port in expected.items()}


def test_panels_use_the_provisioned_source_and_lie_side_by_side() -> None:
    """Each panel has its own id, a title, a sentence and the one data source, and none covers another."""
    (source,) = provisioned("datasources/prometheus.yml")["datasources"]
    every = dashboard()["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith((".", ".)"))
        for used in (panel, *panel["targets"]):
            assert used["datasource"] == {"type": "prometheus", "uid": source["uid"]}
    for one, other in combinations([panel["gridPos"] for panel in every], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_every_expression_reads_something_of_ours() -> None:
    """Nothing but our metrics and Prometheus's own ALERTS is read, so that checking ours checks all."""
    for expression in dashboard_expressions("1m"):
        rest = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", expression)
        words = re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", rest)
        unknown = {word for word in words if not re.fullmatch(OURS, word)}
        assert unknown <= {"ALERTS", "by", "le", "on", "or", "sum", "e6", *LABELS}, expression
        assert selectors(expression) or "ALERTS" in expression


LABELS = {"status", "code", "attempts", "cause", "model"}
