"""``python3 tests/tools.py``: have at hand what tests ask that is no Python package.

A Prometheus: an installed one is used, else Debian's package is unpacked into ``.tools/``. And the packages
that make and check TypeScript, where there is npm. No root is needed, nothing outside that folder changes,
and where that is not possible, the tests that need it are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

BIN = Path(__file__).resolve().parent.parent / ".tools" / "bin"
GENERATED = Path(__file__).resolve().parent / "generated_clients"
NODE_MODULES = BIN.parent / "typescript" / "node_modules"
LOCK = "package-lock.json"
NAMES = ("prometheus", "promtool")
MISSING = (
    "Prometheus and promtool are missing: install them (on Debian and Ubuntu: apt install prometheus), "
    "or run `make tools` where packages can be downloaded."
)
TIMEOUT_S = 60.0


def find(name: str) -> str | None:
    """The program's path: the installed one, else the one that was unpacked here."""
    return shutil.which(name) or shutil.which(name, path=BIN)


def apt_get(folder: Path, *arguments: str, own_lists: bool) -> bool:
    """Run apt-get in ``folder``, if need be with package lists of its own. Whether it went well."""
    options = []
    if own_lists:
        (folder / "state").mkdir(exist_ok=True)
        (folder / "cache").mkdir(exist_ok=True)
        options = [f"Dir::State={folder}/state", f"Dir::Cache={folder}/cache"]
        options.append("Dir::State::status=/var/lib/dpkg/status")
    command = ["apt-get", "-qq", *(part for option in options for part in ("-o", option)), *arguments]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def unpack(package: Path, target: Path) -> None:
    """Take the programs out of a Debian package."""
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            wanted = member.name in {f"./usr/bin/{name}" for name in NAMES}
            content = archive.extractfile(member) if wanted else None
            if content is not None:
                program = target / Path(member.name).name
                with program.open("wb") as file:
                    shutil.copyfileobj(content, file)
                program.chmod(0o755)


def fetch() -> bool:
    """Unpack Debian's package into ``.tools/bin``. Whether everything is there afterwards."""
    folder = BIN.parent / "fetching"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    try:
        # The machine's package lists may be missing, as in a container, or out of date.
        if apt_get(folder, "download", "prometheus", own_lists=False) or (
            apt_get(folder, "update", own_lists=True)
            and apt_get(folder, "download", "prometheus", own_lists=True)
        ):
            for package in folder.glob("*.deb"):
                unpack(package, folder / "bin")
        if all(os.access(folder / "bin" / name, os.X_OK) for name in NAMES):
            shutil.rmtree(BIN, ignore_errors=True)
            (folder / "bin").rename(BIN)
            return True
    except (OSError, tarfile.TarError):
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return False


def install_typescript() -> None:
    """Install the locked packages, unless they are there."""
    folder = NODE_MODULES.parent
    lock = (GENERATED / LOCK).read_bytes()
    made_from = folder / "made-from"
    npm = shutil.which("npm")
    if npm is None or (made_from.exists() and made_from.read_bytes() == lock):
        return
    print("setup: .tools: TypeScript, for tests alone ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", LOCK):
        shutil.copy(GENERATED / name, folder)
    try:
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, capture_output=True, timeout=2 * TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        shutil.rmtree(folder, ignore_errors=True)
        print("setup: TypeScript can't be had: the test that needs it is skipped.", file=sys.stderr)
        return
    made_from.write_bytes(lock)


def main() -> None:
    """Say in a line what the tests will use. Never fails: without it everything else can be tested."""
    install_typescript()
    if all(find(name) for name in NAMES):
        return
    print("setup: .tools: Prometheus, for tests alone ...", flush=True)
    if not fetch():
        print(f"setup: {MISSING} Until then the tests that need them are skipped.", file=sys.stderr)


if __name__ == "__main__":
    main()
