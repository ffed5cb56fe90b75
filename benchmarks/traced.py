"""``python -m benchmarks.traced``: the orchestrator, which also writes down when each event was committed.

Each line of TRACE_FILE is the time (``time.monotonic()``), a job's id and the event's number.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator.__main__ import main
from orchestrator.store.committing import Change, Committing

commit = Committing.commit
trace = Path(os.environ["TRACE_FILE"]).open("w", buffering=1)  # noqa: SIM115  open as long as the process


async def timed(committing: Committing, changes: Sequence[Change]) -> None:
    """The real commit, and the time at which it was done."""
    await commit(committing, changes)
    now = time.monotonic()
    lines = [f"{now} {change.job.id} {number}\n" for change in changes for number, _ in change.events]
    trace.write("".join(lines))


if __name__ == "__main__":
    Committing.commit = timed  # type: ignore[method-assign, assignment]
    sys.exit(main())
