"""``make run`` in odd folders, behind dead proxies, twice at once, on a full disk, without its terminal.

The model is scripted: nothing here depends on what it writes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local_stack.plan import PORT_STEP
from local_stack.ports import free_ports
from testkit.direct import get
from testkit.triton import ROOT
from tests.small_disk import fill
from tests.whole_stack.conftest import LocalStack
from triton_common.probe import Probe

pytestmark = pytest.mark.timeout(300)

SCRIPTED = "tests.local_stack.scripted"
NOWHERE = "http://127.0.0.1:9"
PROXIES = {
    name: NOWHERE
    for lower in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
    for name in (lower, lower.upper())
}
AT_ONCE_S = 2.0


@contextmanager
def running(run_dir: Path, **more: str) -> Iterator[LocalStack]:
    """A stack with the scripted model, ready; nothing is left of it afterwards."""
    stack = LocalStack(run_dir, SCRIPTED, environment=more)
    try:
        stack.wait_ready()
        yield stack
        assert stack.interrupt() == 0, "".join(stack.output)
        assert stack.processes() == []
    finally:
        stack.end()


def health(stack: LocalStack) -> dict[str, Any]:
    status, body = get(f"{stack.url}/health")
    found: dict[str, Any] = {"http": status, **json.loads(body)}
    return found


def wait_for_health(stack: LocalStack, **wanted: Any) -> None:
    """Return once /health says this."""
    deadline = time.monotonic() + 60
    while not wanted.items() <= health(stack).items():
        assert time.monotonic() < deadline, health(stack)
        with pytest.raises(subprocess.TimeoutExpired):
            stack.process.wait(0.1)


def grade(stack: LocalStack, **more: str) -> str:
    """What the example prints that marks a class on this stack."""
    command = [sys.executable, "-m", "examples.grade", "examples/class.csv", "--url", stack.url]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", ["with space", "Màster", "Màster TFM", "100% l'altra?"])
def test_a_folder_with_an_odd_name(tmp_path: Path, name: str) -> None:
    """A class is marked from a RUN_DIR with spaces, accents and what else a name may hold."""
    with running(tmp_path / name) as stack:
        assert "25 texts" in grade(stack)


def test_what_it_keeps_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask, nobody else can look into the folder, nor read a database or a log in it."""
    run_dir = tmp_path / "run"
    before = os.umask(0o000)
    try:
        stack = LocalStack(run_dir, SCRIPTED)
    finally:
        os.umask(before)
    try:
        stack.wait_ready()
        grade(stack)
        modes = {path: path.stat().st_mode & 0o777 for path in (run_dir, *run_dir.iterdir())}
        assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
        assert {"jobs.sqlite3", "jobs.sqlite3-wal", "triton.log", "orchestrator.log", "triton"} <= {
            path.name for path in modes
        }
    finally:
        stack.end()


def test_files_that_an_earlier_version_left_open_are_closed(tmp_path: Path) -> None:
    """A start takes from others what they could read of an older run."""
    for name in ("jobs.sqlite3", "triton.log", "orchestrator.log"):
        (tmp_path / name).touch(0o644)
    with running(tmp_path):
        pass
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.is_file()}
    assert {name for name, mode in modes.items() if mode & 0o077} == set()
    assert "triton.log.1" in modes


def test_behind_a_proxy_that_is_dead(tmp_path: Path) -> None:
    """What the environment says of proxies is for the outside: our parts, and the example, talk directly."""
    nothing = {"no_proxy": "", "NO_PROXY": "", "no_grpc_proxy": ""}
    with running(tmp_path, **PROXIES, **nothing) as stack:
        assert "25 texts" in grade(stack, **PROXIES, **nothing)


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """The files that a running stack doesn't change while nobody uses it."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".log" and "sqlite3" not in path.name
    }


def test_the_second_in_one_folder_says_so_and_touches_nothing(tmp_path: Path) -> None:
    """It ends within two seconds with one line that names the folder and the process; the first goes on."""
    with running(tmp_path) as first:
        before = snapshot(tmp_path)
        started = time.monotonic()
        second = LocalStack(tmp_path, SCRIPTED)
        status = second.process.wait(30)
        took_s = time.monotonic() - started
        second.end()
        lines = [line for line in second.output if line.strip()]
        assert status == 1
        assert len(lines) == 1
        assert f"{tmp_path} is in use by process {first.process.pid}: Avalua runs there already" in lines[0]
        assert took_s < AT_ONCE_S + import_time_s()
        assert snapshot(tmp_path) == before
        assert "25 texts" in grade(first)


def import_time_s() -> float:
    """How long this machine takes just to load the launcher, now."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", f"import {SCRIPTED}"], cwd=ROOT, check=True, timeout=60)
    return time.monotonic() - started


def test_two_in_folders_of_their_own(tmp_path: Path) -> None:
    """With other ports, two stacks of one checkout don't disturb each other."""
    with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        assert "25 texts" in grade(one)
        assert "25 texts" in grade(two)


def ports_of_two() -> dict[str, str]:
    """Free ports for the first Triton, with free ones ten further for the second."""
    free = set(free_ports(100))
    first = [port for port in sorted(free) if port + PORT_STEP in free]
    names = ("TRITON_GRPC_PORT", "TRITON_METRICS_PORT", "TRITON_HTTP_PORT")
    return dict(zip(names, map(str, first), strict=False))


def test_one_of_two_tritons_dies_and_the_other_serves_on(tmp_path: Path) -> None:
    """Both are in the banner and answer; the killed one is started again, the other's process stays."""
    ports = ports_of_two()
    probes = [Probe(int(ports["TRITON_HTTP_PORT"]) + step, 20) for step in (0, PORT_STEP)]
    with running(tmp_path, TRITONS="2", **ports) as stack:
        for probe in probes:
            probe.ask()
        said = "".join(stack.output)
        assert all(f"Triton {number}   " in said for number in (1, 2))
        killed, other = stack.triton(), stack.triton("triton-2")
        killed.kill()
        probes[1].ask()
        stack.wait_for_output("Triton 1 is started again (1 of 10): Triton 1 was ended by signal 9")
        stack.wait_for_output("Triton 1 is ready", times=2)
        probes[0].ask()
        assert stack.triton().pid != killed.pid
        assert stack.triton("triton-2") == other
        assert other.is_running()
        assert "Triton 2 is started again" not in "".join(stack.output)


def test_a_class_is_marked_while_one_of_two_tritons_is_away(tmp_path: Path) -> None:
    """The orchestrator knows both."""
    with running(tmp_path, TRITONS="2", **ports_of_two()) as stack:
        assert "25 texts" in grade(stack)
        stack.triton().kill()
        assert "25 texts" in grade(stack)


def test_its_logs_reader_is_gone(tmp_path: Path) -> None:
    """With nobody left to read what it prints, it keeps Triton all the same, and ends when asked to."""
    stack = LocalStack(tmp_path, SCRIPTED, read_on=False)
    try:
        stack.wait_ready()
        stack.triton().kill()
        wait_for_health(stack, model_loaded=False)
        wait_for_health(stack, model_loaded=True)
        assert "25 texts" in grade(stack)
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.wait(15) == 0
        assert stack.processes() == []
    finally:
        stack.end()


def test_its_terminal_is_gone(tmp_path: Path) -> None:
    """A hangup ends it in good order: nothing is left behind."""
    stack = LocalStack(tmp_path, SCRIPTED)
    try:
        stack.wait_ready()
        stack.process.send_signal(signal.SIGHUP)
        assert stack.process.wait(15) == 0
        assert stack.processes() == []
    finally:
        stack.end()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """One line says which, and what to do."""
    (tmp_path / "file").touch()
    stack = LocalStack(tmp_path / "file", SCRIPTED)
    assert stack.process.wait(30) == 1
    stack.end()
    (line,) = [line for line in stack.output if line.strip()]
    assert f"RUN_DIR={tmp_path}/file can't be written (File exists)" in line


def test_database_and_logs_on_a_full_disk_go_on_once_there_is_room(small_disk: Path) -> None:
    """While it is full it says so and takes nothing in; with room again every text gets its result."""
    with running(small_disk / "run", PURGE_INTERVAL_S="0.5") as stack:
        texts = [{"id_alumno": f"A{n}", "curso": "1r", "consigna": "C"} for n in range(200)]
        body = json.dumps({"items": [{**t, "respuesta": "Mot [[delay_ms=1500]]"} for t in texts]}).encode()
        status, answer = get(f"{stack.url}/evaluate", body)
        assert status == 202
        job_id = json.loads(answer)["job_id"]
        filler = fill(small_disk)
        wait_for_health(stack, storage="unavailable", http=503)
        status, answer = get(f"{stack.url}/evaluate", body)
        assert (status, json.loads(answer)["code"]) == (503, "storage_unavailable")
        filler.unlink()
        wait_for_health(stack, status="healthy")
        _, stream = get(f"{stack.url}/stream/{job_id}")
        events = [
            json.loads(line.removeprefix("data:")) for line in stream.splitlines() if line[:5] == "data:"
        ]
        results = [result for event in events for result in event["data"].get("results", [])]
        assert sorted(result["index"] for result in results) == list(range(200))
        assert {result["status"] for result in results} == {"ok"}
        assert "25 texts" in grade(stack)


def test_a_stack_that_never_was_ready_is_not_taken_for_one(tmp_path: Path) -> None:
    """Its output has ended, but the process still lives: nothing could be found in that."""
    stack = LocalStack(tmp_path, "tests.local_stack.silent")
    try:
        with pytest.raises(AssertionError):
            stack.wait_ready()
    finally:
        stack.end()
