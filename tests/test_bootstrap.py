"""Set-up, with real environments and a folder of tiny wheels in a package index's place."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "dev.lock": "plain==1.0\n",
    "server.lock": "other==1.0\ntorch==1.0+cpu\n",
    "torch-pypi.lock": "torch==1.0\nlinked==1.0\n",
}


def make_wheel(folder: Path, name: str, version: str = "1.0") -> None:
    """A package with one module that does nothing."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": b"",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        rows = []
        for path, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={digest},{len(content)}")
            wheel.writestr(path, content)
        wheel.writestr(record, "\n".join([*rows, f"{record},,"]) + "\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but what set-up needs, and an index that lacks PyTorch's CPU build."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "wheels").mkdir()
    shutil.copy(ROOT / "bootstrap.py", tmp_path)
    for name, content in LOCKS.items():
        (tmp_path / "requirements" / name).write_text(content)
    for name in ("plain", "other", "linked", "torch"):
        make_wheel(tmp_path / "wheels", name)
    return tmp_path


def start(checkout: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(checkout / "wheels")}
    return subprocess.Popen(
        [sys.executable, "bootstrap.py", *arguments],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def set_up(checkout: Path, *arguments: str) -> tuple[int, str]:
    process = start(checkout, *arguments)
    output, _ = process.communicate(timeout=150)
    return process.returncode, output


def has(checkout: Path, environment: str, *modules: str) -> bool:
    code = "import " + ", ".join(modules)
    return (
        subprocess.run([checkout / environment / "bin" / "python", "-c", code], check=False).returncode == 0
    )


def test_without_a_cpu_build_the_ordinary_one_is_installed_with_what_it_links(checkout: Path) -> None:
    status, output = set_up(checkout, ".venv-server")
    assert status == 0, output
    assert has(checkout, ".venv-server", "other", "torch", "linked")
    status, output = set_up(checkout, ".venv-server")
    assert (status, "up to date" in output) == (0, True)


def test_a_cpu_build_that_is_there_is_preferred(checkout: Path) -> None:
    make_wheel(checkout / "wheels", "torch", "1.0+cpu")
    status, output = set_up(checkout, ".venv-server")
    assert status == 0, output
    assert has(checkout, ".venv-server", "torch")
    assert not has(checkout, ".venv-server", "linked")


def test_a_package_that_is_nowhere_ends_it_with_one_sentence(checkout: Path) -> None:
    (checkout / "wheels" / "other-1.0-py3-none-any.whl").unlink()
    status, output = set_up(checkout, ".venv-server")
    assert status == 1
    assert "setup: .venv-server could not be installed: see the lines above." in output
    assert "Traceback" not in output


def test_what_an_interrupted_set_up_left_is_mended_by_the_next(checkout: Path) -> None:
    process = start(checkout, ".venv")
    assert process.stdout is not None
    assert "setup: .venv:" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert rest.strip() == "setup: interrupted; run it again to go on."
    # The worst that it can leave: an interpreter without pip.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    status, output = set_up(checkout, ".venv")
    assert status == 0, output
    assert has(checkout, ".venv", "plain")


def test_too_little_disk_is_said_before_anything_is_fetched(checkout: Path) -> None:
    source = (checkout / "bootstrap.py").read_text()
    (checkout / "bootstrap.py").write_text(
        source.replace("MIN_FREE_BYTES = 5 << 30", "MIN_FREE_BYTES = 1 << 60")
    )
    status, output = set_up(checkout, ".venv")
    assert status == 1
    assert "make room and run this again" in output
    assert not (checkout / ".venv").exists()
