"""Jobs survive what chaos does to them, and chaos would notice if they didn't."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.triton import ROOT

pytestmark = [pytest.mark.chaos, pytest.mark.xdist_group("chaos"), pytest.mark.timeout(900)]

ROUNDS = 20
TIMEOUT_S = 870.0  # a job that never ends is to be told by the run itself, after its own deadline


def run_chaos(run_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A run of ``python -m chaos`` with a fixed seed, to its end."""
    command = [sys.executable, "-m", "chaos", "--run-dir", str(run_dir), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_no_violation(tmp_path: Path) -> None:
    """Several rounds with kills of everything: every item once, with its own student."""
    run = run_chaos(tmp_path, "--rounds", str(ROUNDS), "--seed", "1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "violations: 0" in run.stdout
    for kind in ("orchestrator killed", "Triton killed", "model process killed", "stream cut"):
        assert f"{kind} " in run.stdout.partition("faults: ")[2]


def test_no_violation_in_a_cluster(tmp_path: Path) -> None:
    """The same where three orchestrators share a database, and are stopped, parted and given wrong clocks."""
    run = run_chaos(tmp_path, "--cluster", "--rounds", str(ROUNDS), "--seed", "1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "violations: 0" in run.stdout
    for kind in ("orchestrator paused", "parted from the database", "database restarted", "clock moved"):
        assert f"{kind} " in run.stdout.partition("faults: ")[2]


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        ("swap", r"item \d+: got \("),
        ("resend", r"did not end in time|several results"),
        ("skip", r"expired|410"),
    ],
)
def test_a_planted_bug_is_found(tmp_path: Path, plant: str, said: str) -> None:
    """Each bug that is built into the orchestrator shows as violations within two rounds."""
    run = run_chaos(tmp_path, "--rounds", "2", "--seed", "1", "--plant", plant)
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(rf"VIOLATION job R.*({said})", run.stdout), run.stdout + run.stderr


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        ("no-fence", r"job R"),
        ("no-heartbeat", r"it was claimed \d+ times"),
        ("resend", r"job R"),
    ],
)
def test_a_bug_that_is_planted_in_a_cluster_is_found(tmp_path: Path, plant: str, said: str) -> None:
    """Within ten rounds, though the other orchestrators hide much of it."""
    run = run_chaos(tmp_path, "--cluster", "--rounds", "10", "--seed", "1", "--plant", plant)
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(rf"VIOLATION .*({said})", run.stdout), run.stdout + run.stderr
