"""Where this machine can't run the server, one clear line says what to do."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from testkit.triton import ROOT, SERVER_PYTHON
from triton_cpu import layout
from triton_cpu.layout import NotPossibleError, check_machine, find_libpython, find_wheel


def test_port_in_use_names_its_setting() -> None:
    """A port that somebody uses stops the start with exit status 2 and one line, before anything starts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [SERVER_PYTHON, "-m", "triton_cpu.serve"],
            cwd=ROOT,
            env={**os.environ, "TRITON_HTTP_PORT": str(port)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        f"triton: Port {port} can't be used (Address already in use): set TRITON_HTTP_PORT to a free one."
    ]


def test_bad_setting_stops_the_start_with_one_line() -> None:
    """A setting that makes no sense ends the start before anything is laid out."""
    ended = subprocess.run(
        [SERVER_PYTHON, "-m", "triton_cpu.serve"],
        cwd=ROOT,
        env={**os.environ, "MAX_NUM_SEQS": "lots"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "MAX_NUM_SEQS='lots'" in ended.stderr


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """With less memory than the server needs, the line says how much there is and how much it takes."""
    monkeypatch.setattr(layout, "available_memory_bytes", lambda: 1 << 30)
    with pytest.raises(NotPossibleError, match=r"Only 1\.0 GiB of memory are free: 3 GiB are needed"):
        check_machine({}, host="127.0.0.1")


def test_old_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A glibc that this Triton can't run on is named with the one that it needs."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.31"))
    with pytest.raises(NotPossibleError, match=r"glibc 2\.31 is too old: Triton needs 2\.35"):
        check_machine({}, host="127.0.0.1")


def test_other_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel is for x86-64 Linux alone, and the line says so."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(NotPossibleError, match="Linux on x86-64, not Linux on aarch64"):
        check_machine({}, host="127.0.0.1")


def test_libpython_belongs_to_this_interpreter() -> None:
    """The libpython that the model processes load is of this interpreter's version."""
    folder = find_libpython()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert any(folder.glob(f"libpython{version}.so*"))


def test_missing_libpython_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a shared libpython the line names the package."""
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: "nowhere" if name == "LIBDIR" else None)
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    with pytest.raises(NotPossibleError, match=r"apt install libpython3\.\d+"):
        find_libpython()


def test_missing_wheel_says_to_set_up() -> None:
    """Outside the server's environment there is no Triton, and the line says which command makes one."""
    with pytest.raises(NotPossibleError, match="make setup"):
        find_wheel()
