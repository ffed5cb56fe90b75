"""``python -m benchmarks.company``: how long a class takes beside odd texts, and after a job was cancelled.

Sixty texts of 19 900 characters go to the demo model, a class of 25 two seconds later. What its marks
wait for must depend neither on what the others are made of, nor on texts that nobody waits for any more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.client import Client, deadline
from benchmarks.report import Figure, publish
from testkit.service import Service
from testkit.triton import ROOT, TritonProcess

TIMEOUT_S = 600.0
HEAD_START_S = 2.0
TEXTS = 60
MANY_TEXTS = 500
LETTERS = "letters"
FILLERS = {
    LETTERS: "El sistema solar " + "a" * 19_900,
    "dots": "El sistema solar " + "." * 19_900,
    "newlines": "El model " + "\n" * 19_900,
}
SENTENCES = 75
"""So many of ours fill the model's context."""
MOST_TIMES_LETTERS = 2.0
MOST_AFTER_CANCEL_S = 2.0
"""So much later than alone a class may be done that comes after a job was cancelled."""


def odd_texts(filler: str) -> list[dict[str, str]]:
    return as_items(f"{number} {FILLERS[filler]}" for number in range(TEXTS))


def full_texts(seed: int) -> list[dict[str, str]]:
    """Ordinary texts that leave no room in the prompt: each takes the model as long as any can."""
    return as_items(
        " ".join(f"{seed + number}.{place}: la pluja mulla els carrers." for place in range(SENTENCES))
        for number in range(MANY_TEXTS)
    )


def as_items(texts: Iterable[str]) -> list[dict[str, str]]:
    return [
        {
            "id_alumno": f"O{number}",
            "curso": "3r ESO",
            "consigna": "Explica què és la fotosíntesi.",
            "respuesta": text,
        }
        for number, text in enumerate(texts)
    ]


async def time_class(client: Client, items: list[dict[str, str]]) -> float:
    """Seconds from POST to the final event."""
    started = time.perf_counter()
    await client.follow(await client.submit(items))
    return time.perf_counter() - started


async def measure(options: argparse.Namespace, run_dir: Path) -> list[Figure]:
    items = json.loads((ROOT / "examples" / "class.json").read_text(encoding="utf-8"))["items"]
    alone: list[float] = []
    beside: dict[str, list[float]] = {filler: [] for filler in FILLERS}
    cancelled: list[float] = []
    async with Service(run_dir, server=TritonProcess.vllm(run_dir / "triton")) as service:
        client = Client(service.port)
        await time_class(client, items)  # the first requests warm the model processes up
        for number in range(options.rounds):
            async with deadline(TIMEOUT_S):
                alone.append(await time_class(client, items))
                for filler in FILLERS:
                    job_id = await client.submit(odd_texts(filler))
                    await asyncio.sleep(options.head_start_s)
                    beside[filler].append(await time_class(client, items))
                    await client.follow(job_id)
                job_id = await client.submit(full_texts(number * MANY_TEXTS))
                await asyncio.sleep(options.head_start_s)
                await client.cancel(job_id)
                cancelled.append(await time_class(client, items))
            shown = ", ".join(f"{filler} {times[-1]:.2f} s" for filler, times in beside.items())
            print(f"round {number + 1}: alone {alone[-1]:.2f} s, beside {shown}", flush=True)
    usual = statistics.median(alone)
    letters = statistics.median(beside[LETTERS])
    figures = [Figure("the class alone, median", usual, "s"), Figure(f"beside {LETTERS}", letters, "s")]
    for filler in (name for name in FILLERS if name != LETTERS):
        times = statistics.median(beside[filler])
        figures.append(Figure(f"beside {filler}", times, "s"))
        figures.append(
            Figure(f"beside {filler} to beside {LETTERS}", times / letters, "", MOST_TIMES_LETTERS)
        )
    later = statistics.median(cancelled) - usual
    figures.append(Figure(f"after {MANY_TEXTS} full texts, cancelled", usual + later, "s"))
    figures.append(Figure("that is later than alone by", later, "s", MOST_AFTER_CANCEL_S))
    return figures


def main() -> int:
    description = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.company", description=description)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--head-start-s", type=float, default=HEAD_START_S)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="avalua-company-") as run_dir:
        figures = asyncio.run(measure(options, Path(run_dir)))
    publish(f"A class of 25 beside {TEXTS} odd texts", figures, options.json)
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
