"""Finding the wheel's Triton and laying out what it needs: one backend directory, one environment.

Facts about the wheel: ``nvidia-pytriton`` carries the real ``tritonserver`` binary, the Python backend
and one stub for each Python minor version. PyTriton's own Python API is not used.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MIN_GLIBC = (2, 35)
MIN_MEMORY_BYTES = 3 << 30
VLLM_BACKEND = Path(__file__).resolve().parent / "backends" / "vllm"


class NotPossibleError(RuntimeError):
    """This machine can't run the server. Its text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """Where the pieces of the installed wheel lie."""

    site: Path

    @property
    def server(self) -> Path:
        return self.site / "pytriton" / "tritonserver" / "bin" / "tritonserver"

    @property
    def python_backend(self) -> Path:
        return self.site / "pytriton" / "tritonserver" / "backends" / "python"

    @property
    def stub(self) -> Path:
        version = sysconfig.get_python_version()
        stubs = self.site / "pytriton" / "tritonserver" / "python_backend_stubs"
        return stubs / version / "triton_python_backend_stub"

    @property
    def libraries(self) -> Path:
        return self.site / "nvidia_pytriton.libs"


def find_wheel() -> Wheel:
    """The wheel in the running interpreter's environment. Raises NotPossibleError."""
    wheel = Wheel(Path(sysconfig.get_paths()["purelib"]))
    if not wheel.server.exists():
        raise NotPossibleError("Triton is not installed here: run `make setup` first.")
    if not wheel.stub.exists():
        version = sysconfig.get_python_version()
        raise NotPossibleError(f"This Triton has no stub for Python {version}: use Python 3.11 or 3.12.")
    return wheel


def find_libpython() -> Path:
    """The folder of the shared libpython that belongs to the running interpreter.

    Another libpython of the same minor version would make imports such as ``_ssl`` fail with undefined
    symbols. Raises NotPossibleError where there is none.
    """
    name = sysconfig.get_config_var("INSTSONAME") or ""
    if not name.endswith((".so", ".so.1.0")):
        name = f"libpython{sysconfig.get_python_version()}.so.1.0"
    places = [sysconfig.get_config_var(key) for key in ("LIBDIR", "LIBPL")]
    multiarch = sysconfig.get_config_var("MULTIARCH")
    places += [f"/usr/lib/{multiarch}" if multiarch else None, "/usr/local/lib", "/usr/lib"]
    for place in filter(None, places):
        if (Path(place) / name).exists():
            return Path(place)
    raise NotPossibleError(
        f"{name} is missing: install Python's shared library "
        f"(on Debian and Ubuntu: apt install libpython{sysconfig.get_python_version()}), or use a Python "
        "that was built with --enable-shared."
    )


def check_machine(ports: Mapping[str, int], *, host: str) -> None:
    """Raise NotPossibleError with one clear line where this machine can't run the server.

    ``ports`` maps each port's setting to its number.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise NotPossibleError(
            f"This Triton is built for Linux on x86-64, not {platform.system()} on {platform.machine()}."
        )
    libc, version = platform.libc_ver()
    if libc == "glibc" and tuple(int(part) for part in version.split(".")[:2]) < MIN_GLIBC:
        raise NotPossibleError(
            f"glibc {version} is too old: Triton needs 2.35 or newer (Debian 12, Ubuntu 22.04)."
        )
    available = available_memory_bytes()
    if available < MIN_MEMORY_BYTES:
        raise NotPossibleError(
            f"Only {available / 2**30:.1f} GiB of memory are free: "
            f"{MIN_MEMORY_BYTES / 2**30:.0f} GiB are needed."
        )
    for setting, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise NotPossibleError(
                    f"Port {port} can't be used ({error.strerror}): set {setting} to a free one."
                ) from None


def available_memory_bytes() -> int:
    """Memory that can be had without swapping, in bytes, as Linux sees it."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return MIN_MEMORY_BYTES


def lay_out_backends(target: Path, wheel: Wheel) -> Path:
    """Make the one backend directory that Triton wants: ``python`` from the wheel, ``vllm`` from us."""
    if target.exists():
        shutil.rmtree(target)
    python = target / "python"
    python.mkdir(parents=True)
    for source in (
        wheel.python_backend / "libtriton_python.so",
        wheel.python_backend / "triton_python_backend_utils.py",
        wheel.stub,
    ):
        # Copies, not links: the server refuses a library that lies outside its backend directory.
        shutil.copy2(source, python / source.name)
    shutil.copytree(VLLM_BACKEND, target / "vllm", ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    return target


def server_environment(base: Mapping[str, str], wheel: Wheel, libpython: Path) -> dict[str, str]:
    """The environment of the server's process and of its model processes."""
    bin_dir = Path(sysconfig.get_paths()["scripts"])
    return {
        **base,
        "LD_LIBRARY_PATH": f"{libpython}{os.pathsep}{wheel.libraries}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(wheel.site), base.get("PYTHONPATH")])),
        "PATH": f"{bin_dir}{os.pathsep}{base.get('PATH', os.defpath)}",
        # No word to anyone outside, and nothing of the model is fetched behind the operator's back.
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "TOKENIZERS_PARALLELISM": "false",
        # The sampler compiles a small function of its own even where the model isn't compiled: seconds at the
        # first request, and a C++ compiler that a bare machine hasn't got.
        "TORCHDYNAMO_DISABLE": "1",
        # OpenMP's threads wait for each other by spinning. With one for every core they spend their time on
        # that as soon as anything else runs, and something does: Triton itself, and the orchestrator.
        "OMP_NUM_THREADS": base.get("OMP_NUM_THREADS") or str(max(1, len(os.sched_getaffinity(0)) - 1)),
    }
