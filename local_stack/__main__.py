"""``python -m local_stack``: what ``make run`` runs."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
from functools import cache

from dotenv import dotenv_values

from local_stack.checks import check
from local_stack.errors import StackError
from local_stack.plan import ROOT, Plan, PlanError, make_plan
from local_stack.stack import Stack
from orchestrator.observability.log_writer import LineWriter, complain, keep_standard_streams_open
from triton_common.folder import InUseError, claim
from triton_common.settings import SettingsError

LINES_WAITING = 1000
LAST_LINES_S = 1.0


def say(text: str) -> None:
    """A line of progress: replaced by the next where somebody watches, else only finished ones are shown.

    A terminal that is gone, or that was stopped, keeps nothing from going on.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        _terminal().write(f"\r\x1b[K{text}")
    elif text.endswith("\n"):
        _terminal().write(text)


@cache
def _terminal() -> LineWriter:
    encoding = sys.stdout.encoding if sys.stdout is not None else "utf-8"
    writer = LineWriter(1, LINES_WAITING, encoding=encoding)
    atexit.register(writer.drain, LAST_LINES_S)
    return writer


def banner(plan: Plan) -> str:
    url = plan.orchestrator_url
    notice = f"\n  NOTE: {plan.notice}\n" if plan.notice else ""
    tritons = "\n".join(
        f"  {one.name:<15} HTTP {one.http_url}   gRPC {one.grpc_url}   metrics {one.metrics_url}"
        for one in plan.tritons
    )
    return f"""
  Avalua is ready.
{notice}
  Orchestrator    {url}        a page to send texts and watch the marks; API docs at {url}/docs
{tritons}
  Model           {plan.model}
  Logs            {plan.run_dir}/*.log

  Mark a class of 25 and watch the results arrive ten at a time:

    .venv/bin/python -m examples.grade examples/class.csv --url {url}

  Or have them written beside its texts:

    .venv/bin/python -m avalua_client evaluate examples/class.csv -o marks.xlsx --url {url}

  The same with curl, the second line with the stream_url of the first one's answer:

    curl -s {url}/evaluate -H 'Content-Type: application/json' -d @examples/class.json
    curl -sN {url}/stream/JOB_ID

  Ctrl-C ends everything.
"""


async def run(plan: Plan) -> None:
    """Run the stack until a signal or a death. Raises StackError for the latter."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(serve(plan))
    try:
        await asyncio.wait({stopped, serving}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.done() and not serving.done():
            say("Ending ...\n")
    finally:
        stopped.cancel()
        serving.cancel()
        results = await asyncio.gather(stopped, serving, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def serve(plan: Plan) -> None:
    await check(plan)
    try:
        async with Stack(plan, say) as stack:
            say(f"{banner(plan)}\n")
            await stack.watch()
    except* StackError as group:
        raise group.exceptions[0] from None


def main() -> int:
    os.umask(0o077)  # what is kept here holds students' texts
    keep_standard_streams_open()
    from_file = {key: value for key, value in dotenv_values(ROOT / ".env").items() if value is not None}
    env = from_file | dict(os.environ)
    try:
        plan = make_plan(env)
        lock = claim_run_dir(plan)
        try:
            asyncio.run(run(plan))
        finally:
            os.close(lock)
    except (PlanError, SettingsError, StackError) as error:
        # On a terminal a line of progress stands there.
        start = "\n" if sys.stderr is not None and sys.stderr.isatty() else ""
        complain(f"{start}avalua: {error}")
        return 1
    say("Everything has ended.\n")
    return 0


def claim_run_dir(plan: Plan) -> int:
    """Take the folder before anything in it is touched: two would undo each other's work.

    Raises PlanError.
    """
    try:
        return claim(plan.run_dir)
    except InUseError as error:
        raise PlanError(
            f"{error}: Avalua runs there already. End that one first, or set RUN_DIR to another folder, and "
            "PORT, TRITON_GRPC_PORT, TRITON_HTTP_PORT and TRITON_METRICS_PORT to free ports."
        ) from None
    except OSError as error:
        raise PlanError(
            f"RUN_DIR={plan.run_dir} can't be written ({error.strerror}): make room, or set another folder."
        ) from None


if __name__ == "__main__":
    sys.exit(main())
