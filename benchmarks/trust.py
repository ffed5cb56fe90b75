"""``python -m benchmarks.trust``: what trust in a mark costs, and what it is worth, on held-out items.

Three servers with the same model take the same items in turn: everything on, the model free to write what
it likes, and everything off. Rounds alternate, so that a slow minute of the machine meets all; the figures
to trust are the ratios of the medians.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from demo_model.dataset import Item, items
from demo_model.phrases import Side
from tests.model_repository.ensemble import Answer, Ensemble
from tests.triton_process import TritonProcess

SERVERS = {
    "everything on": {"CONSTRAINED_OUTPUT": "true", "CONFIDENCE": "true"},
    "free to write": {"CONSTRAINED_OUTPUT": "false", "CONFIDENCE": "true"},
    "everything off": {"CONSTRAINED_OUTPUT": "false", "CONFIDENCE": "false"},
}


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


def main() -> None:
    """Read the command line, run the rounds, and print the figures."""
    parser = argparse.ArgumentParser(description="What trust in a mark costs, and what it is worth.")
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=160)
    arguments = parser.parse_args()
    made = list(items(Side.HELD_OUT, arguments.items))
    speeds: dict[str, list[float]] = {name: [] for name in SERVERS}
    last: dict[str, list[Answer]] = {}
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        servers = {}
        for number, (name, settings) in enumerate(SERVERS.items()):
            servers[name] = server = TritonProcess.vllm(Path(folder) / str(number), settings)
            stack.callback(server.stop)
            server.start()
            grade(server.grpc_url, made[:50], arguments.window)  # warm
        for _ in range(arguments.rounds):
            for name, server in servers.items():
                speed, last[name] = grade(server.grpc_url, made, arguments.window)
                speeds[name].append(speed)
    medians = {name: statistics.median(runs) for name, runs in speeds.items()}
    for name, runs in speeds.items():
        shown = ", ".join(f"{speed:.1f}" for speed in runs)
        print(f"{name:16} {medians[name]:6.1f} items/s ({shown}), {valid_share(last[name]):.1%} valid")
    print(f"everything on / everything off   {medians['everything on'] / medians['everything off']:.2f}")
    print(f"constrained / free               {medians['everything on'] / medians['free to write']:.2f}")
    above, below = agreement(made, last["everything on"])
    print(f"agreement with the label         {above:.1%} above the median confidence, {below:.1%} below")


if __name__ == "__main__":
    main()
