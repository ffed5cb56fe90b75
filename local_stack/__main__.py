"""``python -m local_stack``: what ``make run`` runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from dotenv import dotenv_values

from local_stack.errors import StackError
from local_stack.plan import ROOT, Plan, PlanError, make_plan
from local_stack.stack import Stack
from triton_common.settings import SettingsError


def say(text: str) -> None:
    """A line of progress: replaced by the next where somebody watches, else only finished ones are shown."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{text}", end="", flush=True)
    elif text.endswith("\n"):
        print(text, end="", flush=True)


def banner(plan: Plan) -> str:
    url = plan.orchestrator_url
    notice = f"\n  NOTE: {plan.notice}\n" if plan.notice else ""
    return f"""
  Avalua is ready.
{notice}
  Orchestrator    {url}        a page to send texts and watch the marks; API docs at {url}/docs
  Triton          HTTP {plan.triton_http_url}   gRPC 127.0.0.1:{plan.triton_grpc_port}\
   metrics http://127.0.0.1:{plan.triton_metrics_port}/metrics
  Model           {plan.model}
  Logs            {plan.run_dir}/*.log

  Mark a class of 25 and watch the results arrive ten at a time:

    python3 examples/grade.py examples/class.json --url {url}

  The same with curl, the second line with the stream_url of the first one's answer:

    curl -s {url}/evaluate -H 'Content-Type: application/json' -d @examples/class.json
    curl -sN {url}/stream/JOB_ID

  Ctrl-C ends everything.
"""


async def run(plan: Plan) -> None:
    """Run the stack until a signal or a death. Raises StackError for the latter."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
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
    try:
        async with Stack(plan, say) as stack:
            print(banner(plan), flush=True)
            await stack.watch()
    except* StackError as group:
        raise group.exceptions[0] from None


def main() -> int:
    from_file = {key: value for key, value in dotenv_values(ROOT / ".env").items() if value is not None}
    env = from_file | dict(os.environ)
    try:
        asyncio.run(run(make_plan(env)))
    except (PlanError, SettingsError, StackError) as error:
        print(f"\navalua: {error}", file=sys.stderr)
        return 1
    print("Everything has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
