"""``python -m tests.fuzz``: requests made from /openapi.json, right and wrong ones, to a service of its own.

Every check of Schemathesis: statuses, types, headers and bodies as described, wrong data refused and right
data taken. The model is the scripted one. Needs `.venv-fuzz` (`make fuzz` makes it).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from testkit.service import Service
from testkit.triton import ROOT

PROGRAM = ROOT / ".venv-fuzz" / "bin" / "st"
CONFIG = ROOT / "tests" / "fuzz.toml"
OPERATIONS = 10
REQUEST_TIMEOUT_S = 30
# Jobs that pile up would turn every answer into a 429.
SETTINGS = {"MAX_QUEUED_JOBS": "100000", "JOB_TTL_SECONDS": "60"}


async def fuzz(cases: int, seed: int | None, run_dir: Path) -> int:
    """Schemathesis's exit status: 0 if it found nothing."""
    async with Service(run_dir, settings=SETTINGS) as service:
        command = [
            str(PROGRAM),
            "--config-file",
            str(CONFIG),
            "run",
            f"http://127.0.0.1:{service.port}/openapi.json",
            "--checks",
            "all",
        ]
        command += ["--max-examples", str(max(1, cases // OPERATIONS)), "--workers", "1", "--no-color"]
        command += ["--request-timeout", str(REQUEST_TIMEOUT_S), "--continue-on-failure"]
        command += ["--seed", str(seed)] if seed is not None else []
        process = await asyncio.create_subprocess_exec(*command, cwd=run_dir)
        return await process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=5000, help="about so many in all")
    parser.add_argument("--seed", type=int, help="of a run to repeat")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avalua-fuzz-") as run_dir:
        return asyncio.run(fuzz(options.cases, options.seed, Path(run_dir)))


if __name__ == "__main__":
    sys.exit(main())
