"""One server has its folder to itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from testkit.triton import ROOT, TritonProcess
from triton_common.probe import Probe


def test_a_second_server_leaves_the_firsts_folder_alone(own_scripted_triton: TritonProcess) -> None:
    """On other ports, but in the same folder, it ends with one line before anything is laid out."""
    first = own_scripted_triton
    second = TritonProcess.scripted(first.run_dir)
    served = first.run_dir / "served"
    before = {path: path.stat().st_ino for path in served.rglob("*")}
    ended = subprocess.run(
        second.command,
        cwd=ROOT,
        env=second.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == f"triton: {served} is in use by process {first.pid}\n"
    assert {path: path.stat().st_ino for path in served.rglob("*")} == before
    Probe(first.http_port, 10).ask()


def test_a_folder_is_free_again_after_a_crash(own_scripted_triton: TritonProcess) -> None:
    """A server that was killed, model processes and all, is followed by another in the same folder."""
    own_scripted_triton.kill()
    own_scripted_triton.start()
    Probe(own_scripted_triton.http_port, 10).ask()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """It names the folder and the reason."""
    (tmp_path / "file").touch()
    server = TritonProcess.scripted(tmp_path / "file")
    ended = subprocess.run(
        server.command,
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.endswith("can't be written: Not a directory.\n")
    assert ended.stderr.count("\n") == 1
