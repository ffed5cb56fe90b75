"""Fixtures that every test may use: real servers on free ports."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.postgres import PostgresServer
from testkit.triton import TritonProcess


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"only root can mount a small disk: {made.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A real PostgreSQL, one for all tests of this worker; each takes a database of its own from it.

    A test that stops or kills it uses ``own_postgres``.
    """
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.remove()


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own, for it to stop, kill and start."""
    server = PostgresServer(tmp_path_factory.mktemp("own-postgres"))
    server.start()
    yield server
    server.remove()
