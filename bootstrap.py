"""``python3 bootstrap.py``: make the two environments from their locks. Standard library only.

Run by ``make setup``; a second run finds everything in place and returns at once.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = {
    ".venv": (ROOT / "requirements" / "dev.lock", "the orchestrator, its tests and tools"),
    ".venv-server": (ROOT / "requirements" / "server.lock", "Triton with vLLM on the CPU"),
}
# Made only when they are named.
ON_REQUEST = {".venv-fuzz": (ROOT / "requirements" / "fuzz.lock", "tests that are made from /openapi.json")}
SUPPORTED = ((3, 11), (3, 12))
MIN_FREE_BYTES = 6 << 30
# PyTorch's own index, for where the configured one has no CPU build. Not an index for every install:
# where it can't be reached, each package would wait for its retries.
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def stop(sentence: str) -> None:
    sys.exit(f"setup: {sentence}")


def check_python() -> None:
    """Stop with one clear line where this interpreter can't be used."""
    if sys.version_info[:2] not in SUPPORTED:
        version = ".".join(str(part) for part in sys.version_info[:2])
        stop(
            f"Python {version} is not supported: the server needs 3.11 or 3.12. "
            "Name one with `make setup PYTHON=python3.11`."
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        stop(
            "Python's venv module is missing (on Debian and Ubuntu: "
            f"apt install python{sysconfig.get_python_version()}-venv)."
        )
    if shutil.disk_usage(ROOT).free < MIN_FREE_BYTES:
        stop(f"{MIN_FREE_BYTES >> 30} GiB of free disk are needed here.")


def fingerprint(lock: Path) -> str:
    """What the environment depends on: the lock's content and the interpreter."""
    return hashlib.sha256(lock.read_bytes() + sys.version.encode() + sys.prefix.encode()).hexdigest()


def pip(python: Path, arguments: list[str], total: int) -> bool:
    """Run ``pip install`` with one line of progress. On failure print its last lines; return success."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    seen, lines = 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith(("Collecting ", "Processing ", "Requirement already satisfied")):
                seen += 1
                show(f"      {seen}/{total} {line.split()[1][:60]}")
            elif line.startswith("Installing collected"):
                show("      unpacking ...")
    show("")
    if process.returncode:
        print("\n".join(line for line in lines[-12:] if line), file=sys.stderr)
    return process.returncode == 0


def show(text: str) -> None:
    """One line of progress that replaces the last one; nothing where nobody watches."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)


def install(name: str, lock: Path, purpose: str) -> None:
    """Make or refresh one environment. Packages are installed without resolving: the lock is complete."""
    folder = ROOT / name
    stamp = folder / ".lock-sha256"
    if stamp.exists() and stamp.read_text() == fingerprint(lock):
        print(f"setup: {name} is up to date ({purpose}).")
        return
    print(f"setup: {name}: {purpose} ...", flush=True)
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    requirements = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    torch = [line for line in requirements if line.startswith("torch==")]
    if torch and not (
        pip(python, ["--no-deps", *torch], 1)
        or pip(python, ["--no-deps", "--index-url", TORCH_CPU_INDEX, *torch], 1)
    ):
        stop(f"{torch[0]} could not be installed: see the lines above.")
    if not pip(python, ["--no-deps", "--requirement", str(lock)], len(requirements)):
        stop(f"{name} could not be installed: see the lines above.")
    stamp.write_text(fingerprint(lock))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", nargs="*", default=list(ENVIRONMENTS), help="which ones to make")
    check_python()
    for name in parser.parse_args().environments:
        install(name, *(ENVIRONMENTS | ON_REQUEST)[name])


if __name__ == "__main__":
    main()
