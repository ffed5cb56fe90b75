"""``python -m loadtest --scenario classes``: what ``make load`` runs. Exit status 1 when a limit was missed.

Starts a stack, unless it is given the URL of a running one, and lets Locust loose on it without its web page,
once for each scenario. All further options go to Locust, whose ``locust -f loadtest/locustfile.py --help``
lists them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from loadtest.scenarios import SCENARIOS, USUAL
from loadtest.stack import Target, own_stack
from local_stack.__main__ import say
from local_stack.child import die_with_parent
from local_stack.errors import StackError
from local_stack.plan import ROOT, PlanError
from triton_common.settings import SettingsError

LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"
STOP_TIMEOUT_S = 10.0


async def run(options: argparse.Namespace, further: list[str]) -> int:
    """The worst exit status of all scenarios."""
    report_dir: Path = options.report_dir
    statuses = []
    if (ourselves := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ourselves.cancel)
    async with AsyncExitStack() as resources:
        target = Target(("--host", options.url))
        if not options.url:
            stack = own_stack(options.model, report_dir / "stack", say)
            target = await resources.enter_async_context(stack)
        for scenario in options.scenario:
            statuses.append(await attack(scenario, report_dir, target, further))
    failed = [name for name, status in zip(options.scenario, statuses, strict=True) if status]
    verdict = f"Limits were missed in: {', '.join(failed)}." if failed else "Every scenario kept its limits."
    say(f"\nReports: {report_dir}/*.html\n{verdict}\n")
    return max(statuses)


async def attack(scenario: str, report_dir: Path, target: Target, further: list[str]) -> int:
    """One scenario, in a process of its own: Locust changes Python's own networking. Its exit status."""
    say(f"\n{scenario} ...\n")
    report = report_dir / scenario
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
    command += ["--loglevel", "WARNING", "--html", f"{report}.html", "--csv", str(report)]
    command += ["--scenario", scenario, "--report", str(report), *target.options, *further]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        raise


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest", description=__doc__.partition("\n")[0])
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=USUAL, metavar="NAME")
    parser.add_argument("--model", default="scripted", help="scripted, demo, a folder, or a name on the hub")
    parser.add_argument("--url", default="", help="of a running orchestrator; then nothing is started")
    parser.add_argument("--report-dir", type=Path, default=ROOT / ".run" / "load")
    options, further = parser.parse_known_args()
    options.report_dir = options.report_dir.resolve()
    options.report_dir.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(run(options, further))
    except (PlanError, SettingsError, StackError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("loadtest: ended before its time", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
