"""What we do faster than vLLM on the CPU gives the same."""

import subprocess

import pytest

from tests.triton_process import ROOT, SERVER_PYTHON, TEST_MODEL

TIMEOUT_S = 120.0


@pytest.mark.vllm
@pytest.mark.xdist_group("vllm")
def test_short_cuts_change_nothing() -> None:
    """Top-p keeps the same tokens with the same logits, and every token is decoded alike."""
    command = [str(SERVER_PYTHON), "-m", "tests.vllm_backend.shortcuts_in_server", str(TEST_MODEL)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.strip().endswith("the same")
