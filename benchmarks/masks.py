"""``.venv-server/bin/python -m benchmarks.masks``: what a constraint costs, by how it is written.

The grammars of ``model_repository/preprocess/1/grammar.py`` beside others for the same answers, with the demo
model's vocabulary and with a made-up one as large as Gemma 2's. The model itself has no part in it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

import xgrammar
from transformers import AutoTokenizer

from benchmarks.questions import beside_preprocess

ours = beside_preprocess("grammar")

LARGE = 256_000
EOS = 1
SEQUENCES = 16
ANSWER = '{"nota": 4, "feedback": "Has explicat les causes, amb exemples \\"clars\\". Revisa els accents."}'
START = r'root ::= "\n"? "{\"nota\": " [0-5] ", \"feedback\": \"" feedback "\"}"'
GRAMMARS = {
    "for the first attempt": ours.GRAMMAR,
    "the same, its end in another rule": "\n".join(
        (START, r'feedback ::= "\\\""? [^" \\\x00-\x1f\x7f] ([^"\\\x00-\x1f\x7f] | "\\" ["\\/nt])*')
    ),
    "for further attempts: 180 characters": ours.BOUNDED_GRAMMAR,
    "60 words of 30 characters, counted": "\n".join(
        (
            START,
            r'feedback ::= "\\\""? word (between word){0,59} "\\\""?',
            r'between ::= " " | "\\n" | " \\\"" | "\\\" " | "\\\""',
            r'word ::= [^"\\\x00-\x20\x7f]{1,30}',
        )
    ),
}


def enlarged(texts: list[str], size: int) -> list[str]:
    """``texts`` and words put together from them, some with a quotation mark or a comma, ``size`` in all."""
    chance = random.Random(1)  # noqa: S311  a vocabulary, no secret
    made = dict.fromkeys(texts)
    while len(made) < size:
        word = chance.choice(texts).strip() + chance.choice(texts).strip()
        kind = chance.random()
        if kind < 0.02:
            word += chance.choice(['"', '",', '"}', '\\"', ".", ","])
        elif kind < 0.5:
            word = f" {word}"
        made.setdefault(word)
    return list(made)[:size]


def cut(text: str, vocabulary: list[str]) -> Iterator[int]:
    """``text`` as tokens: the longest that fits, each time."""
    numbers = {token: number for number, token in enumerate(vocabulary)}
    place = 0
    while place < len(text):
        token = next(text[place:end] for end in range(place + 20, place, -1) if text[place:end] in numbers)
        yield numbers[token]
        place += len(token)


def measure(compiler: Any, grammar: str, tokens: list[int], size: int) -> tuple[float, float]:
    """Seconds to compile ``grammar``, and microseconds for one sequence's mask at one token."""
    started = time.perf_counter()
    compiled = compiler.compile_grammar(grammar)
    compiling = time.perf_counter() - started
    matchers = [xgrammar.GrammarMatcher(compiled, override_stop_tokens=[EOS]) for _ in range(SEQUENCES)]
    mask = xgrammar.allocate_token_bitmask(SEQUENCES, size)
    batch = xgrammar.BatchGrammarMatcher(max_threads=1)
    spent = []
    for token in tokens:
        started = time.perf_counter()
        batch.batch_fill_next_token_bitmask(matchers, mask)
        spent.append((time.perf_counter() - started) / SEQUENCES * 1e6)
        for matcher in matchers:
            assert matcher.accept_token(token), "the grammar must let the answer pass"
    return compiling, statistics.fmean(spent)


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description="What a constraint costs at each token.")
    parser.add_argument("--model", default="demo_model/checkpoint")
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    texts = list(dict.fromkeys(tokenizer.decode([number]) for number in range(len(tokenizer))))
    small = [text for text in texts if text and "\ufffd" not in text]
    print(f"{'microseconds a token and sequence':40} {'vocabulary':>10} {'compile, s':>10} {'mask, us':>10}")
    for size in (len(small), LARGE):
        vocabulary = enlarged(small, size)
        info = xgrammar.TokenizerInfo(vocabulary, vocab_size=size, stop_token_ids=[EOS])
        compiler = xgrammar.GrammarCompiler(info, max_threads=1)
        tokens = list(cut(ANSWER, vocabulary))
        for name, grammar in GRAMMARS.items():
            compiling, mask = measure(compiler, grammar, tokens, size)
            print(f"{name:40} {size:>10} {compiling:>10.3f} {mask:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
