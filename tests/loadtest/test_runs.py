"""Real runs, each in a process of its own: Locust changes Python's networking for good."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_stack.ports import free_ports
from testkit.triton import ROOT
from tests.orchestrator.conftest import OwnProcess, own_process

TIMEOUT_S = 150.0

__all__ = ["own_process"]


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it left."""

    status: int
    output: str
    reports: Path

    def figures(self, scenario: str) -> dict[str, float]:
        content = json.loads((self.reports / f"{scenario}.json").read_text("utf-8"))
        return {figure["name"]: figure["value"] for figure in content["figures"]}


async def load(reports: Path, *options: str, **environment: str) -> Ended:
    """``python -m loadtest`` to its end."""
    command = [sys.executable, "-m", "loadtest", "--report-dir", str(reports), *options]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, output, reports)


async def test_limits_are_kept(tmp_path: Path) -> None:
    """Every way to be graded, on a stack that the run starts itself, with all that it leaves behind."""
    names = ("classes", "steady-grpc", "classes-generate")
    few = ["--delay-ms", "20", "--classes", "2", "--seconds", "1", "--classes-per-minute", "60"]
    # How fast it is says nothing here: other tests run beside this one.
    patient = ["--max-event-p95-ms", "5000", "--max-item-p95-s", "60"]
    run = await load(tmp_path, "--scenario", *names, *few, *patient)
    assert run.status == 0, run.output
    assert run.output.count("All limits were kept.") == len(names)
    assert run.figures("classes")["accepted (202)"] == 2
    for name in names:
        figures = run.figures(name)
        assert figures["items/s"] > 5
        assert figures["failed"] == 0
        page = (tmp_path / f"{name}.html").read_text("utf-8")
        assert "one text, sent to marked" in page
        rows = (tmp_path / f"{name}_stats.csv").read_text("utf-8").splitlines()
        assert sum(row.startswith("ITEM,") for row in rows) == 1


async def test_a_missed_limit_fails_the_run(tmp_path: Path, own_process: OwnProcess) -> None:
    """Against a running service: its exit status is 1, and one line says why."""
    impossible = ["--min-items-per-s", "1000000", "--max-event-p95-ms", "60000"]
    options = ["--url", own_process.base, "--scenario", "batch", "--items", "30", *impossible]
    run = await load(tmp_path, *options)
    assert run.status == 1, run.output
    said = [line for line in run.output.splitlines() if line.startswith("MISSED")]
    assert len(said) == 1, run.output
    assert "but at least 1e+06 is wanted" in said[0]
    assert "Limits were missed in: batch." in run.output


async def test_nobody_there(tmp_path: Path) -> None:
    """A service that is not running is one clear line, not a table of failures."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    run = await load(tmp_path, "--url", url, "--scenario", "classes")
    assert run.status == 1, run.output
    assert f"loadtest: {url} does not answer" in run.output
    assert "Traceback" not in run.output


@pytest.mark.chaos
@pytest.mark.xdist_group("chaos")
async def test_overload(tmp_path: Path) -> None:
    """Ten times more jobs than fit: only 202 and 429, and every accepted job is completed."""
    room = {"MAX_CONCURRENT_JOBS": "2", "MAX_QUEUED_JOBS": "3"}
    run = await load(
        tmp_path, "--scenario", "overload", "--overload-seconds", "20", "--delay-ms", "200", **room
    )
    assert run.status == 0, run.output
    figures = run.figures("overload")
    assert figures["other answers to POST"] == figures["accepted, but not completed"] == 0
    assert figures["refused (429)"] > figures["accepted (202)"] > 0
    assert "memory growth" in figures
