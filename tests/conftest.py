"""Fixtures that every test may use: real servers on free ports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.triton_process import TritonProcess


@pytest.fixture(scope="session")
def scripted_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A Triton whose model does what the student's text says; one for all tests of this worker.

    A test that kills or breaks it uses ``own_scripted_triton``.
    """
    server = TritonProcess.scripted(tmp_path_factory.mktemp("scripted"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_scripted_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A scripted Triton of this test's own, for it to kill, stop and start."""
    server = TritonProcess.scripted(tmp_path_factory.mktemp("own-scripted"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def vllm_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A Triton with the real vLLM backend. Its tests share a worker: mark them ``xdist_group("vllm")``."""
    server = TritonProcess.vllm(tmp_path_factory.mktemp("vllm"))
    server.start()
    yield server
    server.stop()
