"""`python -m demo_model.evaluate`: held-out items through the whole service, which it starts for the purpose.

With `--url http://localhost:8000` it asks the one that runs there.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from avalua_client import AvaluaClient, AvaluaError
from demo_model.agreement import Graded, score
from demo_model.dataset import HELD_OUT_ITEMS, Item, items
from demo_model.phrases import Side
from local_stack.errors import StackError
from local_stack.temporary import temporary_stack


async def evaluate(url: str, count: int) -> str:
    """Have the service at `url` mark the first `count` held-out items; return the figures, ready to print."""
    made = list(items(Side.HELD_OUT, count))
    async with AvaluaClient(url) as client:
        started = time.monotonic()
        graded = await grade(client, made)
        seconds = time.monotonic() - started
    return f"{score(made, graded)}\nitems/s                   {count / seconds:.1f}"


async def grade(client: AvaluaClient, made: Sequence[Item]) -> list[Graded]:
    """What the service says of each item, in their order."""
    results = await client.evaluate(item.request() for item in made)
    return [Graded(result.nota, result.feedback) for result in results]


async def evaluate_own(count: int) -> str:
    """The same with a service of our own, which serves the demo model on free ports."""
    async with temporary_stack(_say, MODEL_NAME="") as plan:
        print(f"Marking {count} held-out texts ...", flush=True)
        return await evaluate(plan.orchestrator_url, count)


def _say(text: str) -> None:
    if text.endswith("\n"):
        print(text, end="", flush=True)


def main() -> None:
    """Read the command line, evaluate, and print the figures."""
    parser = argparse.ArgumentParser(description="Mark held-out items through the whole service.")
    parser.add_argument("--url", help="of a running service; by default one is started")
    parser.add_argument("--items", type=int, default=HELD_OUT_ITEMS)
    arguments = parser.parse_args()
    try:
        if arguments.url:
            print(asyncio.run(evaluate(arguments.url.rstrip("/"), arguments.items)))
        else:
            print(asyncio.run(evaluate_own(arguments.items)))
    except (AvaluaError, StackError, ValueError) as error:
        sys.exit(f"{arguments.url or 'the demo'}: {error}")


if __name__ == "__main__":
    main()
