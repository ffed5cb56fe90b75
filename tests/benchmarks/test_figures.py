"""The benchmarks run to their end, at a size that says nothing about speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.report import Figure, table
from testkit.triton import ROOT

TIMEOUT_S = 170.0


def measure(name: str, path: Path, *options: str) -> dict[str, float]:
    """Every figure of one benchmark by its name. Limits may be missed: the sizes are too small for them."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--rounds", "1", "--json", str(path), *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert run.returncode in (0, 1), run.stderr
    assert "| figure | value |" in run.stdout, run.stderr
    return {figure["name"]: figure["value"] for figure in json.loads(path.read_text("utf-8"))["figures"]}


def results(name: str, folder: Path, *options: str) -> dict[str, Any]:
    """What a benchmark writes down; its page and its plot have to be there too."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--out", str(folder), *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert run.returncode in (0, 1), run.stderr
    assert (folder / f"{name}.md").read_text("utf-8") in run.stdout, run.stderr
    ElementTree.parse(folder / f"{name}.svg")  # noqa: S314  our own
    written: dict[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return written


@pytest.mark.chaos
@pytest.mark.xdist_group("chaos")
def test_speed(tmp_path: Path) -> None:
    """The whole path, the bare client and the latency on the sockets each give a figure."""
    sizes = ["--jobs", "2", "--items", "400", "--more-jobs", "2", "--more-items", "20", "--subscribers", "4"]
    figures = measure("speed", tmp_path / "speed.json", *sizes)
    assert figures["whole path to bare client"] > 0
    assert figures["commit to the reader's hands, 4 subscribers, full load, P95"] > 0


@pytest.mark.chaos
@pytest.mark.xdist_group("chaos")
def test_fairness(tmp_path: Path) -> None:
    """A small job takes at least the model's delay, alone and in company."""
    figures = measure("fairness", tmp_path / "fairness.json", "--large", "400", "--delay-ms", "200")
    assert figures["alone, median"] >= 0.2
    assert figures["in company, median"] >= 0.2


@pytest.mark.chaos
@pytest.mark.xdist_group("chaos")
def test_uploads(tmp_path: Path) -> None:
    """Memory and the slowest health check, for a kind that is taken and one that is refused."""
    sizes = ["--mib", "2", "--together", "2", "--kinds", "valid", "nested lists"]
    figures = measure("uploads", tmp_path / "uploads.json", *sizes)
    assert figures["valid: slowest /health/live"] > 0
    assert figures["nested lists: memory by the body's size"] > 0


@pytest.mark.chaos
@pytest.mark.xdist_group("chaos")
def test_side_by_side(tmp_path: Path) -> None:
    """Both limits, ten by ten and the whole service did the same work, and each has its figures."""
    sizes = ["--items", "20", "--rounds", "1", "--natural-rounds", "0", "--sides", "a+,b',e"]
    tables = results("sidebyside", tmp_path, *sizes)["tables"]
    (summaries,) = tables.values()
    assert set(summaries) == {"a", "a+", "b'", "e"}
    assert {one["output_tokens"] for one in summaries.values()} == {40.0}
    assert {"tritonserver", "gemma2 (stub)", "orchestrator", "client"} <= set(summaries["e"]["cpu_ms"])
    assert summaries["a"]["peak_mib"]["engine"] > 100


@pytest.mark.chaos
@pytest.mark.xdist_group("chaos")
def test_growth(tmp_path: Path) -> None:
    """Items, jobs and lengths each give a curve."""
    sizes = [
        "--items",
        "10",
        "50",
        "--jobs",
        "1",
        "2",
        "--job-items",
        "20",
        "--words",
        "20",
        "40",
        "--texts",
        "4",
    ]
    grown = results("growth", tmp_path, "--rounds", "1", *sizes)["growth"]
    assert [[step["size"] for step in one["steps"]] for one in grown] == [[10, 50], [1, 2], [20, 40]]
    assert all(step["seconds"][0] > 0 for one in grown for step in one["steps"])


def test_a_missed_limit_shows() -> None:
    """The table says of each limit whether it was kept, in whichever direction it goes."""
    shown = table([Figure("a", 0.7, "", 0.8, at_least=True), Figure("b", 3, "ms", 5), Figure("c", 1, "s")])
    a, b, c = shown.splitlines()[2:]
    assert "missed" in a
    assert "kept" in b
    assert not {"missed", "kept"} & set(c.split())
