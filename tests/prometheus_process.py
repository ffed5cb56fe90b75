"""A real Prometheus for tests, with the configuration that docker-compose.yml gives it."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.ports import free_ports
from testkit.direct import open_url
from testkit.triton import ROOT
from tests.tools import MISSING, find

MONITORING = ROOT / "monitoring"


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``; where there is none, the test is skipped."""
    path = find(name)
    if path is None:
        pytest.skip(MISSING)
    return path


class PrometheusProcess:
    """One server. ``targets`` maps each job of prometheus.yml to where it is found here."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
        assert {job["job_name"] for job in config["scrape_configs"]} == set(targets)
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        config["global"] = {"scrape_interval": "250ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(MONITORING / name) for name in config["rule_files"]]
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "prometheus.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={path}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Return once it answers; raise with its log if it dies or takes too long."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with open_url(f"{self.url}/-/ready", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                try:
                    self._process.wait(timeout=0.1)
                except subprocess.TimeoutExpired:
                    continue
        raise RuntimeError(f"Prometheus did not get ready:\n{self.log.read_text(encoding='utf-8')[-4000:]}")

    def ask(self, what: str, **parameters: str) -> Any:
        """The ``data`` of an API call. Raises AssertionError with what Prometheus said against it."""
        query = urllib.parse.urlencode(parameters)
        try:
            with open_url(f"{self.url}/api/v1/{what}?{query}", timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {json.load(error)['error']}") from None

    def numbers(self, expression: str) -> list[float]:
        """What the expression gives now, without what is not a number."""
        result = self.ask("query", query=expression)["result"]
        values = [float(series["value"][1]) for series in result]
        return [value for value in values if value == value]  # noqa: PLR0124  NaN is not itself

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=20)
