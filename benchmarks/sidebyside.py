"""``python -m benchmarks.sidebyside``: our service beside its alternatives, in one run.

Every side has processes of its own, so that none finds in its cache what another left there. In each round
all sides get the same texts, which nobody has seen before, one side after the other, in turning order. The
figures to trust are the ratios of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.comparison import TITLES, Round, Summary, check, summarize_all, verdicts
from benchmarks.meter import Meter, idle_cores
from benchmarks.questions import FIXED_TOKENS, WARM_UP_FIRST, WARM_UP_ITEMS, Question, held_out
from benchmarks.results import RESULTS, write_comparison
from benchmarks.sides.engine import Engine
from benchmarks.sides.openai import OpenAI
from benchmarks.sides.side import Setup, Side
from benchmarks.sides.triton import BATCH, Stream, Whole
from testkit.triton import TEST_MODEL
from triton_common.settings import ModelSettings
from triton_cpu.settings import CpuSettings

ROUND_TIMEOUT_S = 1200.0
IDLE_S = 6.0
MAX_IDLE_CORES = 0.2
SIDES: Mapping[str, Callable[[Setup], Side]] = {
    "a": Engine,
    "a+": lambda setup: Engine(setup, replacements=CpuSettings.from_env(os.environ).replacements),
    "b": lambda setup: Engine(setup, BATCH),
    "b'": lambda setup: Stream(setup, lockstep=True),
    "c": OpenAI,
    "d": Stream,
    "e": Whole,
}
CPU_ONLY = ("a+",)
ASKED_FOR_LENGTH = ("a", "a+", "b", "c")
"""Sides that are told with each request how long its answer is to be: they serve for all tables."""
LENGTHS: Mapping[str, int | None] = {
    f"Answers of {FIXED_TOKENS} tokens": FIXED_TOKENS,
    "Answers that end by themselves": None,
}


def say(words: str) -> None:
    print(words, flush=True)


async def open_side(name: str, setup: Setup, stack: AsyncExitStack) -> Side:
    """A side that has answered once."""
    started = time.monotonic()
    side = await stack.enter_async_context(SIDES[name](setup))
    await side.run(held_out(WARM_UP_ITEMS, WARM_UP_FIRST, setup.tokens))
    say(f"  ({name}) {TITLES[name]} is ready after {time.monotonic() - started:.0f} s")
    return side


def check_idle(sides: Mapping[str, Side]) -> None:
    """Raise RuntimeError where a side that nobody asks keeps a processor from the others."""
    for name, side in sides.items():
        busy = sum(idle_cores(side.roots, IDLE_S / len(sides)).values())
        if busy > MAX_IDLE_CORES:
            raise RuntimeError(f"({name}) uses {busy:.2f} processors while idle: use --one-at-a-time.")
        say(f"  ({name}) uses {busy:.2f} processors while idle")


async def turn(name: str, side: Side, questions: Sequence[Question]) -> Round:
    """One side's turn in a round."""
    meter = Meter(side.roots)
    meter.start()
    async with asyncio.timeout(ROUND_TIMEOUT_S):
        outcome = await side.run(questions)
    measured = Round(outcome, meter.read())
    tokens = outcome.output_tokens / len(questions)
    cpu_ms = 1000 * sum(measured.cost.cpu_s.values()) / len(questions)
    marked = "" if outcome.graded is None else f", {outcome.graded} marked"
    each = f"{tokens:.1f} tokens and {cpu_ms:.1f} ms CPU an item"
    say(f"  ({name}) {measured.rate:6.1f} items/s, {each}{marked}")
    return measured


async def compare(
    setup: Setup, names: Sequence[str], numbers: range, kept: Mapping[str, Side] | None
) -> dict[str, list[Round]]:
    """All rounds of one table; ``numbers`` are theirs, and say which texts they get.

    Without ``kept`` sides each side is started for its turn alone. Else those that are missing in it are
    started once.
    """
    turns: dict[str, list[Round]] = {name: [] for name in names}
    async with AsyncExitStack() as stack:
        sides = dict(kept or {})
        if kept is not None:
            sides |= {name: await open_side(name, setup, stack) for name in names if name not in kept}
            check_idle(sides)
        for number in numbers:
            say(f"round {number - numbers.start + 1} of {len(numbers)}")
            questions = held_out(setup.items, number * setup.items, setup.tokens)
            for name in names if number % 2 == 0 else reversed(names):
                async with AsyncExitStack() as alone:
                    side = sides.get(name) or await open_side(name, setup, alone)
                    turns[name].append(await turn(name, side, questions))
    check(turns, setup.items, setup.tokens)
    return turns


def engine_args(options: argparse.Namespace) -> dict[str, object]:
    """The engine's arguments, for all sides: the settings', with what the command line says."""
    extra = json.loads(os.environ.get("EXTRA_ENGINE_ARGS") or "{}")
    if options.load_format:
        extra["load_format"] = options.load_format
    environment = {**os.environ, "MODEL_NAME": options.model, "EXTRA_ENGINE_ARGS": json.dumps(extra)}
    return ModelSettings.from_env(environment).engine_args(options.device)


def parse() -> argparse.Namespace:
    description = __doc__.partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sidebyside", description=description)
    parser.add_argument("--items", type=int, default=1000, help="texts a round")
    parser.add_argument("--rounds", type=int, default=3, help="with answers of fixed length")
    parser.add_argument("--natural-rounds", type=int, default=2, help="with answers that end by themselves")
    parser.add_argument("--window", type=int, default=160, help="items in flight")
    parser.add_argument("--sides", default=",".join(SIDES), help="which; (a) is always among them")
    parser.add_argument("--model", default=str(TEST_MODEL), help="a folder, or a name on the hub")
    parser.add_argument("--load-format", default="", help="vLLM's; dummy where there are no weights")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: in NVIDIA's image")
    parser.add_argument(
        "--one-at-a-time", action="store_true", help="start each side for its turn (as on a GPU)"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results are written")
    options = parser.parse_args()
    asked = {"a", *options.sides.split(",")} - set(CPU_ONLY if options.device == "cuda" else ())
    options.sides = [name for name in SIDES if name in asked]
    return options


async def measure(options: argparse.Namespace, run_dir: Path) -> dict[str, dict[str, Summary]]:
    """The tables by their headings."""
    setup = Setup(
        folder=run_dir,
        engine_args=engine_args(options),
        device=options.device,
        model=options.model,
        tokens=None,
        window=options.window,
        items=options.items,
    )
    tables = {}
    async with AsyncExitStack() as stack:
        kept: dict[str, Side] | None = None
        # One GPU has no room for so many models.
        if options.device == "cpu" and not options.one_at_a_time:
            kept = {
                name: await open_side(name, setup, stack)
                for name in options.sides
                if name in ASKED_FOR_LENGTH
            }
        first = 0
        for (heading, tokens), rounds in zip(
            LENGTHS.items(), (options.rounds, options.natural_rounds), strict=True
        ):
            if not rounds:
                continue
            say(heading)
            folder = run_dir / ("natural" if tokens is None else "fixed")
            folder.mkdir()
            table = replace(setup, folder=folder, tokens=tokens)
            # Texts that an earlier table had are known to the sides that were kept.
            numbers = range(first, first := first + rounds)
            tables[heading] = summarize_all(await compare(table, options.sides, numbers, kept))
    return tables


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="avalua-sidebyside-") as run_dir:
        tables = asyncio.run(measure(options, Path(run_dir)))
    figures = [
        figure for heading, summaries in tables.items() for figure in verdicts(summaries, heading.lower())
    ]
    in_flight = f"{options.window} in flight on (c), (d) and (e)"
    conditions = f"{options.items} texts a round, the same for all sides; {in_flight}"
    say(f"\n{write_comparison(options.out, conditions, tables, figures)}\nThe same lies in {options.out}.")
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
