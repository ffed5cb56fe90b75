"""Our own parts talk directly, whatever proxies the environment names."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from benchmarks.bare import BareClient
from testkit.triton import ROOT, TritonProcess
from tests.local_stack.test_make_run import PROXIES
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start

ENVIRONMENT = {**os.environ, **PROXIES, "no_proxy": "", "NO_PROXY": ""}


def healthcheck(dockerfile: str) -> list[str]:
    """The command of an image's HEALTHCHECK, to be run with our Python."""
    lines = (ROOT / dockerfile).read_text("utf-8").split("HEALTHCHECK", 1)[1].splitlines()
    command: list[str] = json.loads(lines[1].strip().removeprefix("CMD "))
    return [sys.executable, *command[1:]]


async def ended(command: list[str], **more: str) -> int:
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**ENVIRONMENT, **more})
    async with asyncio.timeout(60):
        return await process.wait()


async def test_the_orchestrators_image_checks_itself_directly(start: Start) -> None:
    """A service that lives is healthy behind a proxy, and one that doesn't is not."""
    command = healthcheck("Dockerfile.api")
    async with start() as client:
        assert await ended(command, PORT=client.base.rpartition(":")[2]) == 0
    assert await ended(command, PORT="9") != 0


async def test_tritons_image_checks_itself_directly(scripted_triton: TritonProcess) -> None:
    """A server that grades is healthy behind a proxy."""
    command = healthcheck("Dockerfile.triton")
    assert await ended(command, TRITON_HTTP_PORT=str(scripted_triton.http_port)) == 0


def test_the_example_over_grpc_asks_directly(scripted_triton: TritonProcess) -> None:
    """Behind a dead proxy it prints a mark for each text."""
    shown = subprocess.run(
        [sys.executable, "examples/stream.py", "--url", scripted_triton.grpc_url],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert len(shown.stdout.splitlines()) == 3


async def test_grpc_clients_ask_directly(
    start: Start, scripted_triton: TritonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orchestrator's channel and the benchmark's don't look at the environment."""
    for name, value in {**PROXIES, "no_proxy": "", "NO_PROXY": ""}.items():
        monkeypatch.setenv(name, value)
    async with start(scripted_triton) as client:
        assert (await client.call("GET", "/health"))[0] == 200
    async with asyncio.timeout(60):
        await BareClient(scripted_triton.grpc_url, 2).grade(make_items(4))


def test_the_load_tests_grpc_client_asks_directly(scripted_triton: TritonProcess) -> None:
    """It connects behind a dead proxy; gevent wants a process of its own."""
    connect = (
        "from grpc.experimental import gevent; gevent.init_gevent()\n"
        "import sys; from loadtest.direct import GrpcClient; GrpcClient(sys.argv[1], None, 1).connect()"
    )
    subprocess.run(
        [sys.executable, "-c", connect, scripted_triton.grpc_url],
        cwd=ROOT,
        env=ENVIRONMENT,
        timeout=60,
        check=True,
    )


def test_the_example_names_a_file_that_is_missing() -> None:
    """One line, not an address that would be to blame; and nothing is asked for."""
    ended = subprocess.run(
        [sys.executable, "-m", "examples.grade", "nowhere.json", "--url", "http://127.0.0.1:9"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == "nowhere.json can't be read: No such file or directory.\n"
