"""``.venv-server/bin/python -m benchmarks.replacements``: what each replacement of vLLM's functions is worth.

One engine in this process, whose functions are exchanged between turns: nothing replaced, each replacement
alone, all but one, all. In each round all of them answer the same texts, in an order of their own, without
what the prefix cache kept. The figures are the processor's time for a text, which neighbours on the machine
disturb least, as ratios of medians: alone to nothing, and all but one to all. "Nothing" and "all" have two
turns in each round; how far their turns lie apart is the noise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.questions import ENGINE_ENVIRONMENT, FIXED_TOKENS, Question, beside_preprocess, held_out
from benchmarks.report import machine
from triton_common.settings import ModelSettings
from triton_cpu.layout import VLLM_BACKEND
from triton_cpu.settings import REPLACEMENTS

os.environ.update(
    {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR", **ENGINE_ENVIRONMENT}
)
sys.path.append(str(VLLM_BACKEND))

LEAST = 1.05
"""A replacement that is worth less than this alone, for every kind of answers, is not worth its upkeep."""
NOTHING, ALL = "nothing", "all"


@dataclass(frozen=True)
class Workload:
    """A kind of answers: so long, or to their own end; free, or as the service asks for them by default."""

    title: str
    tokens: int | None
    constrained: bool = False

    def sampling(self, question: Question) -> dict[str, Any]:
        if not self.constrained:
            return dict(question.sampling)
        ours = beside_preprocess("sampling").Sampling(constrained=True, logprobs=True).parameters
        return {**ours, "seed": question.sampling["seed"]}


WORKLOADS = (
    Workload(f"free, {FIXED_TOKENS} tokens", FIXED_TOKENS),
    Workload("free, to their own end", None),
    Workload("constrained, with confidence", None, constrained=True),
)


@dataclass(frozen=True)
class Turn:
    """Milliseconds of processor and of wall clock for a text."""

    cpu_ms: float
    wall_ms: float


class Exchange:
    """vLLM's functions, and what replaces them: as many as are wanted, until others are."""

    def __init__(self, names: Iterable[str]) -> None:
        patches = {name: import_module(f"replacements.{name}").PATCHES for name in names}
        self._own = [(owner, key, vars(owner)[key]) for name in patches for owner, key, _ in patches[name]]
        self._replaced = {
            name: [(owner, key, wrapper(getattr(owner, key))) for owner, key, wrapper in patches[name]]
            for name in patches
        }

    def use(self, names: Iterable[str]) -> None:
        for owner, key, function in self._own:
            setattr(owner, key, function)
        for name in names:
            for owner, key, function in self._replaced[name]:
                setattr(owner, key, function)


class Engine:
    """vLLM's engine in this process, asked for all texts of a turn at once."""

    def __init__(self, model: str) -> None:
        vllm = import_module("vllm")
        self._params, self._structure = vllm.SamplingParams, vllm.sampling_params.StructuredOutputsParams
        arguments = ModelSettings.from_env({"MODEL_NAME": model}).engine_args("cpu")
        self._llm = vllm.LLM(**arguments, structured_outputs_config={"backend": "xgrammar"})

    def turn(self, workload: Workload, questions: Sequence[Question]) -> Turn:
        sampling = []
        for question in questions:
            parameters = workload.sampling(question)
            if structure := parameters.pop("structured_outputs", None):
                parameters["structured_outputs"] = self._structure(**json.loads(structure))
            sampling.append(self._params(**parameters))
        self._llm.reset_prefix_cache()
        wall, cpu = time.perf_counter(), time.process_time()
        self._llm.generate([question.prompt for question in questions], sampling, use_tqdm=False)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Turn(1000 * cpu / len(questions), 1000 * wall / len(questions))


def variants(names: Sequence[str]) -> dict[str, list[str]]:
    """What is replaced, by what a variant is called: ``+name`` alone, ``-name`` left out."""
    alone = {f"+{name}": [name] for name in names}
    left_out = {f"-{name}": [other for other in names if other != name] for name in names}
    return {NOTHING: [], ALL: list(names), **alone, **left_out}


def take_turns(
    exchange: Exchange, turn: Callable[[], Turn], order: random.Random, rounds: int
) -> dict[str, list[Turn]]:
    """All turns of each variant, after one of nothing and of all to warm up."""
    chosen = variants(REPLACEMENTS)
    turns: dict[str, list[Turn]] = {name: [] for name in chosen}
    for variant in (NOTHING, ALL):
        exchange.use(chosen[variant])
        turn()
    for _ in range(rounds):
        for variant in order.sample([*chosen, NOTHING, ALL], len(chosen) + 2):
            exchange.use(chosen[variant])
            turns[variant].append(turn())
    return turns


def median(turns: Sequence[Turn], what: str) -> float:
    return float(statistics.median(getattr(turn, what) for turn in turns))


def worth(turns: Mapping[str, Sequence[Turn]], name: str, what: str = "cpu_ms") -> tuple[float, float]:
    """How many times as fast one replacement makes vLLM, and all the others."""
    alone = median(turns[NOTHING], what) / median(turns[f"+{name}"], what)
    return alone, median(turns[f"-{name}"], what) / median(turns[ALL], what)


def spread(turns: Sequence[Turn]) -> float:
    """How far the turns of one variant lie apart, as a share of their median."""
    figures = [turn.cpu_ms for turn in turns]
    return (max(figures) - min(figures)) / statistics.median(figures)


def main() -> int:
    """Read the command line, measure, print a table. 1 where a replacement is not worth its upkeep."""
    parser = argparse.ArgumentParser(description="What each replacement of vLLM's functions is worth.")
    parser.add_argument("--model", default="demo_model/checkpoint")
    parser.add_argument("--items", type=int, default=400, help="texts a turn")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    exchange, engine, order = Exchange(REPLACEMENTS), Engine(options.model), random.Random(1)  # noqa: S311
    best = dict.fromkeys(REPLACEMENTS, 0.0)
    print(f"{machine()}\n\n| answers | replacement | alone | (wall clock) | left out | (wall clock) |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    spent = []
    for workload in WORKLOADS:
        questions = held_out(options.items, 0, workload.tokens)
        turns = take_turns(exchange, partial(engine.turn, workload, questions), order, options.rounds)
        for name in REPLACEMENTS:
            cpu, wall = worth(turns, name), worth(turns, name, "wall_ms")
            best[name] = max(best[name], cpu[0])
            shown = f"{cpu[0]:.2f} | {wall[0]:.2f} | {cpu[1]:.2f} | {wall[1]:.2f}"
            print(f"| {workload.title} | `{name}` | {shown} |", flush=True)
        spent += [
            f"{workload.title}, {variant} replaced: {median(turns[variant], 'cpu_ms'):.2f} ms a text, turns "
            f"{spread(turns[variant]):.0%} apart"
            for variant in (NOTHING, ALL)
        ]
    print("\n" + "\n".join(spent))
    poor = [name for name in REPLACEMENTS if best[name] < LEAST]
    for name in poor:
        print(f"{name} is worth {best[name] - 1:.1%} at most, less than {LEAST - 1:.0%}: remove it")
    return 1 if poor else 0


if __name__ == "__main__":
    sys.exit(main())
