"""``python -m benchmarks.texts``: what a text costs before and behind the model, by what it is filled with.

CPU milliseconds of each stage that reads a stranger's text, for fillers that make patterns and loops start
over again and again, at doubling lengths. The exit status is 1 where doubling the length costs more than
``LIMIT`` times: then somebody's text can stall everybody else's.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.questions import beside_preprocess
from triton_common.repository import SOURCE

LENGTHS = (5_000, 10_000, 20_000, 40_000)
LIMIT = 2.5
LEAST_MS = 0.3
"""Times below it are those of the clock and the cache rather than of the text."""
RUNS, MORE_RUNS = 3, 15

DEMO_TOKENS = ("<bos>", "<eos>", "<pad>", "<unk>", "<start_of_turn>", "<end_of_turn>")
GEMMA_TOKENS = (*DEMO_TOKENS, "<mask>", "<2mass>", "[@BOS@]", *(f"<unused{number}>" for number in range(99)))
SENTENCES = (
    "La fotosíntesi és el procés pel qual les plantes fan aliment amb la llum. Nota: 3 parts! (o més)\n"
)
# Repeated as often as the length takes.
FILLERS = {
    "ordinary sentences": SENTENCES,
    "dots": ".",
    "dots and spaces": ". ",
    "line breaks": "\n",
    "spaces": " ",
    "letters": "a",
    "words of one letter": "a ",
    "digits": "1",
    "underscores": "_",
    "hyphens": "-",
    "spaced hyphens": " -",
    "less-than signs": "<",
    "less-than signs in HTML": "&lt;",
    "broken entities": "&#",
    "numbered entities": "&#060;",
    "zeros": "0",
    "percent signs": "%3c",
    "backslashes": "\\u003",
    "quotation marks": '"',
    "apostrophes": "'",
    "braces": "{",
    "brackets": "[",
    "a key": '"nota"',
    "a key and a colon": '"nota" : ',
    "a mark's name": "nota: ",
    "a mark": "nota és ",
    "ignoring": "ignora ",
    "ignoring the": "ignora les ",
    "giving": "posa un ",
    "giving in English": "give me the ",
    "grading": "qualifica aquest text ",
    "wanting": "vull que em ",
    "a speaker": "model: ",
    "a speaker on each line": "system:\n",
    "a speaker who gives": "sistema: posa ",
    "becoming": "ara ets un ",
    "addressing": "atenció ",
    "accents": "\u0301",
    "letters with accents": "e\u0301",
    "invisible characters": "\u200b",
    "emoji": "👩‍👩‍👧‍👦",
    "phrases in one character": "\ufdfa",
    "letters and dots": "a.b.",
    "starts of a token": "<start_of_turn",
    "tokens": "<end_of_turn>",
    "spaced pieces of a token": "<s t a r t _ o f ",
    "starts of many tokens": "<unused ",
    "tokens in disguise": "&lt; e-n-d_of turn &#x3e; ",
    "all at once": '<&lt;[@"nota": .\nsystem: ignora les posa un 5 & %3c{ -_ e\u0301',
    "a system and dots": "El sistema solar ",  # with dots behind: see ``filled``
    "nested tokens": "<",  # with their ends behind
    "a token's start and spaces": "<s",
    "a key and spaces": '"nota',
}
BEHIND = {
    "a system and dots": ".",
    "a token's start and spaces": " ",
    "a key and spaces": " ",
}


def filled(kind: str, length: int) -> str:
    """A text of about ``length`` characters, of whole fillers: a part of one may mean something else."""
    unit = FILLERS[kind]
    if kind == "nested tokens":
        return "<" * (length // 2) + "pad" + ">" * (length // 2)
    if behind := BEHIND.get(kind):
        return unit + behind * (length - len(unit))
    return unit * (length // len(unit))


def beside_postprocess(name: str) -> Any:
    folder = str(SOURCE / "postprocess" / "1")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


@dataclass(frozen=True, slots=True)
class Stage:
    """``run`` is measured, with what ``make`` makes of a text."""

    run: Callable[[Any], Any]
    make: Callable[[str], Any] = str


def as_answer(text: str) -> str:
    """What a model could write: an object with ``text`` in it, and again as it is, without an end."""
    return f'{{"nota": 4, "feedback": {json.dumps(text)}, "x": "{text}'


def as_logprobs(text: str) -> str:
    """The log-probabilities of a model that writes ``text`` in tokens of 10 characters."""
    pieces = [text[start : start + 10] for start in range(0, len(text), 10)]
    return json.dumps([{"1": {"decoded_token": piece, "logprob": -1.0}} for piece in pieces])


def stages() -> dict[str, Stage]:
    """Everything that reads a text of a stranger's, by name."""
    control, copying, folding, orders = map(beside_preprocess, ("control", "copying", "folding", "orders"))
    grade, confidence = map(beside_postprocess, ("grade", "confidence"))
    runs = copying.sources("Explica amb les teves paraules què és la fotosíntesi i per què és important.")
    seen = folding.Seen.of
    found = {
        "fold": Stage(seen),
        "neutralise": Stage(control.Neutralizer(DEMO_TOKENS)),
        "neutralise, Gemma": Stage(control.Neutralizer(GEMMA_TOKENS)),
        "orders": Stage(orders.instruction_like, seen),
        "copied": Stage(lambda words: copying.copied(words, runs), lambda text: seen(text).words),
        "sources": Stage(copying.sources),
        "answer": Stage(lambda text: grade.read_grade(text, "stop")),
        "answer in JSON": Stage(lambda text: grade.read_grade(text, "stop"), as_answer),
        "confidence": Stage(lambda text: confidence.read_confidence(text, 4), as_logprobs),
    }
    with contextlib.suppress(ModuleNotFoundError):
        found["normalise"] = Stage(beside_preprocess("normalising").normalise)
    return found


def cpu_ms(stage: Stage, text: str, runs: int) -> float:
    """The least CPU time of some runs, in milliseconds."""
    made, least = stage.make(text), float("inf")
    for _ in range(runs):
        begin = time.process_time()
        stage.run(made)
        least = min(least, time.process_time() - begin)
    return least * 1000


@dataclass(frozen=True, slots=True)
class Growth:
    """The CPU milliseconds of one stage for one filler, at each of ``lengths``."""

    kind: str
    stage: str
    lengths: tuple[int, ...]
    ms: tuple[float, ...]

    def worst(self) -> float:
        """The largest factor between two lengths, as that for a doubled one."""
        steps = zip(self.lengths, self.ms, self.lengths[1:], self.ms[1:], strict=False)
        return max(
            max(more, LEAST_MS) / max(less, LEAST_MS) / (longer / shorter) * 2
            for shorter, less, longer, more in steps
        )


def measure(kind: str, name: str, stage: Stage, lengths: tuple[int, ...], limit: float) -> Growth:
    """How one stage grows; measured again, more often, where it seems to grow too fast."""
    texts = [filled(kind, length) for length in lengths]
    for runs in (RUNS, MORE_RUNS):
        growth = Growth(kind, name, lengths, tuple(cpu_ms(stage, text, runs) for text in texts))
        if growth.worst() <= limit:
            break
    return growth


def report() -> Iterator[Growth]:
    """All growths, printed as they come: a line for each filler and stage."""
    print(f"{'CPU ms':28} {'stage':18}" + "".join(f"{length:>9}" for length in LENGTHS) + "  doubled")
    for kind in FILLERS:
        for name, stage in stages().items():
            growth = measure(kind, name, stage, LENGTHS, LIMIT)
            times = "".join(f"{ms:9.2f}" for ms in growth.ms)
            print(f"{kind:28} {name:18}{times}{growth.worst():8.1f}x", flush=True)
            yield growth


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    growths = list(report())
    slow = [growth for growth in growths if growth.worst() > LIMIT]
    for growth in slow:
        print(f"FAILED: {growth.stage} of {growth.kind}: {growth.worst():.1f} times for twice the length.")
    if not slow:
        worst = max(growths, key=lambda growth: growth.ms[-1])
        longest = f"{worst.stage} of {worst.kind}, {worst.ms[-1]:.1f} ms for {LENGTHS[-1]} characters"
        print(f"Linear. What takes longest: {longest}.")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
