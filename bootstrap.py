"""``python3 bootstrap.py``: make the two environments from their locks. Standard library only.

Run by ``make setup``; a second run finds everything in place and returns at once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = {
    ".venv": (ROOT / "requirements" / "dev.lock", "the orchestrator, its tests and tools"),
    ".venv-server": (ROOT / "requirements" / "server.lock", "Triton with vLLM on the CPU"),
}
# Made only when they are named.
ON_REQUEST = {".venv-fuzz": (ROOT / "requirements" / "fuzz.lock", "tests that are made from /openapi.json")}
SUPPORTED = ((3, 11), (3, 12))
# In an environment whose set-up was completed: what it was made from.
STAMP = ".lock-sha256"
MIN_FREE_BYTES = 5 << 30
# PyTorch's own index, for where the configured one has no CPU build. Not an index for every install:
# where it can't be reached, each package would wait for its retries.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# Where neither has it: the ordinary build of the same version, made for GPUs, which gives the same tokens on
# a CPU, with the NVIDIA libraries that it links.
TORCH_WITH_CUDA = ROOT / "requirements" / "torch-pypi.lock"
TORCH_WITH_CUDA_FREE_BYTES = 9 << 30


def stop(sentence: str) -> None:
    sys.exit(f"setup: {sentence}")


def check_python() -> None:
    """Stop with one clear line where this interpreter can't be used."""
    if sys.version_info[:2] not in SUPPORTED:
        version = ".".join(str(part) for part in sys.version_info[:2])
        stop(
            f"Python {version} is not supported: the server needs 3.11 or 3.12. "
            "Name one each time: `make run PYTHON=python3.11`."
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        stop(
            "Python's venv module is missing (on Debian and Ubuntu: "
            f"apt install python{sysconfig.get_python_version()}-venv)."
        )


def check_disk(needed_bytes: int, purpose: str) -> None:
    """Stop with one clear line where the disk would fill up."""
    free = shutil.disk_usage(ROOT).free
    if free < needed_bytes:
        stop(
            f"{purpose} needs {needed_bytes >> 30} GiB of free disk in {ROOT}, and it has "
            f"{free / (1 << 30):.1f} GiB: make room and run this again."
        )


def fingerprint(lock: Path) -> str:
    """What the environment depends on: the lock's content and the interpreter."""
    return hashlib.sha256(lock.read_bytes() + sys.version.encode() + sys.prefix.encode()).hexdigest()


@contextmanager
def child(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A program with its output, ended with all that it started where the block is left early.

    In a group of its own: Ctrl-C is for us to tell of, and not for it to answer with a traceback.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    with process:
        try:
            yield process
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def pip(python: Path, arguments: list[str], total: int, *, quiet: bool = False) -> bool:
    """Run ``pip install`` with one line of progress; return success. On failure print its last lines.

    ``quiet`` where a failure is no news, since something else is tried next.
    """
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    seen, lines = 0, []
    with child(command) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied")):
                seen += 1
                show(f"      {seen}/{total} {line.split()[1][:60]}")
            elif line.startswith("Installing collected"):
                show("      unpacking ...")
    show("")
    if process.returncode and not quiet:
        print("\n".join(line for line in lines[-12:] if line), file=sys.stderr)
    return process.returncode == 0


def show(text: str) -> None:
    """One line of progress that replaces the last one; nothing where nobody watches."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)


def make_environment(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``, made anew unless its last set-up was completed.

    A set-up that was cut off can leave anything: no pip, or half a package that counts as installed.
    """
    complete = (folder / STAMP).exists()
    (folder / STAMP).unlink(missing_ok=True)  # until this set-up is completed, too
    if not complete:
        with child([sys.executable, "-m", "venv", "--clear", str(folder)]) as process:
            output, _ = process.communicate()
        if process.returncode:
            stop(f"{folder.name} could not be made: {' '.join(output.split()[-40:])}")
    return folder / "bin" / "python"


def install_torch(python: Path, cpu_build: str) -> None:
    """Install ``cpu_build``, a requirement such as ``torch==2.13.0+cpu``, or what gives the same tokens."""
    if pip(python, ["--no-deps", cpu_build], 1, quiet=True):
        return
    print(
        "setup: the configured package index has no CPU build of PyTorch; asking PyTorch's own ...",
        flush=True,
    )
    own = ["--no-deps", "--retries", "1", "--timeout", "10", "--index-url", TORCH_CPU_INDEX]
    if pip(python, [*own, cpu_build], 1, quiet=True):
        return
    print(
        "setup: that can't be had either; taking the build for GPUs, which runs on a CPU, too ...", flush=True
    )
    check_disk(TORCH_WITH_CUDA_FREE_BYTES, "PyTorch's build for GPUs, with all else,")
    total = len(TORCH_WITH_CUDA.read_text().splitlines())
    if not pip(python, ["--no-deps", "--requirement", str(TORCH_WITH_CUDA)], total):
        stop(f"{cpu_build.partition('+')[0]} could not be installed: see the lines above.")


def install(name: str, lock: Path, purpose: str) -> None:
    """Make or refresh one environment. Packages are installed without resolving: the lock is complete."""
    folder = ROOT / name
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == fingerprint(lock):
        print(f"setup: {name} is up to date ({purpose}).")
        return
    print(f"setup: {name}: {purpose} ...", flush=True)
    check_disk(MIN_FREE_BYTES, name)
    python = make_environment(folder)
    requirements = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    for torch in (line for line in requirements if line.startswith("torch==")):
        install_torch(python, torch)
    others = folder / "others.lock"
    others.write_text("\n".join(line for line in requirements if not line.startswith("torch==")) + "\n")
    if not pip(python, ["--no-deps", "--requirement", str(others)], len(requirements)):
        stop(f"{name} could not be installed: see the lines above.")
    others.unlink()
    stamp.write_text(fingerprint(lock))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", nargs="*", default=list(ENVIRONMENTS), help="which ones to make")
    check_python()
    try:
        known = ENVIRONMENTS | ON_REQUEST
        for name in parser.parse_args().environments:
            if name not in known:
                stop(f"{name} is no environment: name some of {', '.join(known)}.")
            install(name, *known[name])
    except KeyboardInterrupt:
        with suppress(OSError):
            print(file=sys.stderr)
        stop("interrupted; run it again to go on.")


if __name__ == "__main__":
    main()
