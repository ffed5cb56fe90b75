"""`python -m demo_model.evaluate --url http://localhost:8000`: held-out items through the running service."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import aiohttp

from demo_model.agreement import score
from demo_model.dataset import HELD_OUT_ITEMS, items
from demo_model.phrases import Side
from demo_model.service import ServiceError, grade


async def evaluate(url: str, count: int) -> str:
    """Have the service at `url` mark the first `count` held-out items; return the figures, ready to print."""
    made = list(items(Side.HELD_OUT, count))
    async with aiohttp.ClientSession() as session:
        started = time.monotonic()
        graded = await grade(session, url, made)
        seconds = time.monotonic() - started
    return f"{score(made, graded)}\nitems/s                   {count / seconds:.1f}"


def main() -> None:
    """Read the command line, evaluate, and print the figures."""
    parser = argparse.ArgumentParser(description="Mark held-out items through the running service.")
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--items", type=int, default=HELD_OUT_ITEMS)
    arguments = parser.parse_args()
    try:
        print(asyncio.run(evaluate(arguments.url.rstrip("/"), arguments.items)))
    except (ServiceError, aiohttp.ClientError, ValueError) as error:
        sys.exit(f"{arguments.url}: {error}")


if __name__ == "__main__":
    main()
