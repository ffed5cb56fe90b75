"""Replacements of vLLM's functions give the same as vLLM's own, and grammars let pass what they should."""

import subprocess

import pytest

from testkit.triton import ROOT, SERVER_PYTHON, TEST_MODEL

TIMEOUT_S = 120.0


@pytest.mark.vllm
@pytest.mark.xdist_group("vllm")
@pytest.mark.parametrize("what", ["replacements", "grammars", "engine", "failure"])
def test_in_the_server_s_environment(what: str) -> None:
    """Tokens, log-probabilities, masks beside vLLM's own; answers beside a table; failures of any kind."""
    command = [str(SERVER_PYTHON), "-m", f"tests.vllm_backend.{what}_in_server", str(TEST_MODEL)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.strip().endswith("the same")
