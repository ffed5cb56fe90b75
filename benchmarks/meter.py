"""What a side costs: processor time and memory, process by process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MIB = 1024 * 1024
STUB = "triton_python_backend_stub"
CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Cost:
    """By process: seconds of processor time, and the largest resident memory in MiB."""

    cpu_s: Mapping[str, float] = field(default_factory=dict)
    peak_mib: Mapping[str, float] = field(default_factory=dict)


def label(root: str, command: list[str]) -> str:
    """A child's name: that of the model in a Triton stub, else what its command says, after its root's."""
    if command and Path(command[0]).name == STUB:
        return f"{Path(command[1]).parts[-3]} (stub)"
    title = command[0].partition("::")[2] if command and command[0].startswith("VLLM::") else "child"
    return f"{root}: {title}"


class Meter:
    """Watches the client (this process) and the trees below ``roots``. ``start`` before, ``read`` after."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = roots
        self._watched: list[tuple[str, psutil.Process, float]] = []

    def start(self) -> None:
        processes = [(CLIENT, psutil.Process(os.getpid()))]
        for name, pid in self._roots.items():
            root = psutil.Process(pid)
            processes.append((name, root))
            processes += [(label(name, child.cmdline()), child) for child in root.children(recursive=True)]
        for _, process in processes:
            # Linux forgets the highest resident memory so far.
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")
        self._watched = [(name, process, cpu_s(process)) for name, process in processes]

    def read(self) -> Cost:
        used: dict[str, float] = {}
        peak: dict[str, float] = {}
        for name, process, before in self._watched:
            used[name] = used.get(name, 0.0) + cpu_s(process) - before
            peak[name] = peak.get(name, 0.0) + peak_mib(process.pid)
        return Cost(used, peak)


def cpu_s(process: psutil.Process) -> float:
    """Processor seconds that a process has used since it was started."""
    times = process.cpu_times()
    return float(times.user + times.system)


def peak_mib(pid: int) -> float:
    """The largest resident memory of a process since it was last forgotten."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / MIB
    return 0.0


def idle_cores(roots: Mapping[str, int], seconds: float) -> dict[str, float]:
    """How many processors each tree keeps busy while nobody asks it anything; takes ``seconds``."""
    trees = {
        name: [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for name, pid in roots.items()
    }
    before = {name: sum(map(cpu_s, tree)) for name, tree in trees.items()}
    time.sleep(seconds)
    return {name: (sum(map(cpu_s, tree)) - before[name]) / seconds for name, tree in trees.items()}
