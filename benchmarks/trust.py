"""``python -m benchmarks.trust``: what trust in a mark costs, and what it is worth, on held-out items.

Three servers with the same model take the same items, in turning order: everything on, the model free to
write what it likes, and everything off. Rounds alternate, so that a slow minute of the machine meets all; the
figures to trust are the ratios of the medians. Each round has texts that nobody has seen, as a class hands
them in: of a text that comes again vLLM remembers the prompt, and only the answer would be measured.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from demo_model.dataset import Item, items
from demo_model.phrases import Side
from testkit.ensemble import Answer, Ensemble
from testkit.triton import TritonProcess

SERVERS = {
    "everything on": {"CONSTRAINED_OUTPUT": "true", "CONFIDENCE": "true"},
    "free to write": {"CONSTRAINED_OUTPUT": "false", "CONFIDENCE": "true"},
    "everything off": {"CONSTRAINED_OUTPUT": "false", "CONFIDENCE": "false"},
}

WARMING = 50
LEAST_SHARE = 0.85
"""Of the speed without, that is asked of everything on."""


def batched(size: int, rounds: int) -> list[list[Item]]:
    """A few items to warm up with, then ``rounds`` times ``size`` others."""
    made = items(Side.HELD_OUT, WARMING + size * rounds)
    return [list(itertools.islice(made, count)) for count in (WARMING, *[size] * rounds)]


def grade(url: str, made: Sequence[Item], window: int) -> tuple[float, list[Answer]]:
    """Items per second, and the answers in the order of ``made``."""
    found: dict[int, Answer] = {}
    with Ensemble.at(url) as ensemble:
        started = time.perf_counter()
        for number, item in enumerate(made):
            if number >= window:
                answer = ensemble.receive()
                found[int(answer.id)] = answer
            ensemble.send(item.respuesta, curso=item.curso, consigna=item.consigna, request_id=str(number))
        while len(found) < len(made):
            answer = ensemble.receive()
            found[int(answer.id)] = answer
        seconds = time.perf_counter() - started
    return len(made) / seconds, [found[number] for number in range(len(made))]


def valid_share(answers: Sequence[Answer]) -> float:
    return statistics.fmean(not answer.error and answer["nota"] >= 0 for answer in answers)


def agreement(made: Sequence[Item], answers: Sequence[Answer]) -> tuple[float, float]:
    """Of the marks above the median confidence, and of those below, how many are the label's."""
    sure = [
        (float(answer["confidence"]), answer["nota"] == item.nota)
        for item, answer in zip(made, answers, strict=True)
    ]
    middle = statistics.median(confidence for confidence, _ in sure)
    above = [right for confidence, right in sure if confidence > middle]
    below = [right for confidence, right in sure if confidence <= middle]
    return statistics.fmean(above), statistics.fmean(below)


def main() -> int:
    """Read the command line, run the rounds, and print the figures."""
    parser = argparse.ArgumentParser(description="What trust in a mark costs, and what it is worth.")
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=160)
    arguments = parser.parse_args()
    warming, *rounds = batched(arguments.items, arguments.rounds)
    speeds: dict[str, list[float]] = {name: [] for name in SERVERS}
    answers: dict[str, list[Answer]] = {name: [] for name in SERVERS}
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        servers = {}
        for number, (name, settings) in enumerate(SERVERS.items()):
            servers[name] = server = TritonProcess.vllm(Path(folder) / str(number), settings)
            stack.callback(server.stop)
            server.start()
            grade(server.grpc_url, warming, arguments.window)
        for number, made in enumerate(rounds):
            for name in sorted(servers, key=lambda name: (list(servers).index(name) - number) % len(servers)):
                speed, given = grade(servers[name].grpc_url, made, arguments.window)
                speeds[name].append(speed)
                answers[name] += given
    medians = {name: statistics.median(runs) for name, runs in speeds.items()}
    for name, runs in speeds.items():
        shown = ", ".join(f"{speed:.1f}" for speed in runs)
        print(f"{name:16} {medians[name]:6.1f} items/s ({shown}), {valid_share(answers[name]):.1%} valid")
    share = medians["everything on"] / medians["everything off"]
    print(f"everything on / everything off   {share:.2f} (at least {LEAST_SHARE:.2f} is asked for)")
    print(f"constrained / free               {medians['everything on'] / medians['free to write']:.2f}")
    above, below = agreement([item for made in rounds for item in made], answers["everything on"])
    print(f"agreement with the label         {above:.1%} above the median confidence, {below:.1%} below")
    return 0 if share >= LEAST_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
