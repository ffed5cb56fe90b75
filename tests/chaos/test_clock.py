"""An orchestrator whose wall clock somebody moves."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from chaos.clock import move
from testkit.triton import ROOT

PROGRAM = """
import sys
from pathlib import Path
from chaos.clock import follow
follow(Path(sys.argv[1]))
import time
for _ in sys.stdin:
    print(time.time(), time.time_ns() / 1e9, time.monotonic(), flush=True)
"""


def test_a_clock_moves_while_its_process_runs(tmp_path: Path) -> None:
    """Forwards and back, at once; the monotonic clock and everybody else's go on as they were."""
    file = tmp_path / "clock"
    move(file, 3600.0)
    command = [sys.executable, "-c", PROGRAM, str(file)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for offset_s in (3600.0, -7200.0, 0.0):
            move(file, offset_s)
            process.stdin.write("\n")
            process.stdin.flush()
            said, said_ns, monotonic = map(float, process.stdout.readline().split())
            assert abs(said - time.time() - offset_s) < 60
            assert abs(said_ns - said) < 60
            assert abs(monotonic - time.monotonic()) < 60
        process.stdin.close()
