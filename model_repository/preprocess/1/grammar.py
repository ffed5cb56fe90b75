"""The one shape that an answer can have, in the EBNF that vLLM's structured outputs take. Pure.

It fixes the white space, as ``json.dumps`` writes it: with free white space a model can write blanks until
its tokens run out. The newline that may come first is the one that Gemma's chat template has after ``model``
and our prompt has not.

How a grammar is written decides what it costs. At each step xgrammar has the mask ready for all tokens but
those that reach beyond the rule they began in, which it tries one by one: with the closing ``"}`` in another
rule than the feedback, every token with a quotation mark in it. So each rule here goes on to the very end.
"""

from __future__ import annotations

_START = r'root ::= "\n"? "{\"nota\": " [0-5] ", \"feedback\": \"" "\\\""? '
_END = r'"\"}"'
_CHAR = r'[^"\\\x00-\x1f\x7f]'

GRAMMAR = "\n".join(
    (
        rf'{_START}[^" \\\x00-\x1f\x7f] {_CHAR}* rest',
        rf'rest ::= {_END} | "\\" ["\\/nt] {_CHAR}* rest',
    )
)
"""For the first attempt. ``MAX_TOKENS`` alone bounds the feedback, and what is cut there is no answer."""

MARK_WITHIN = len('\n{"nota": 5')
"""The mark is among the first so many tokens, however short each is."""

CHARS = 180
"""So many are two sentences, and end within ``MAX_TOKENS`` even where each token is a single letter."""


def _counted(number: int) -> str:
    following = f"rest{number + 1}"
    return f"rest{number} ::= {_END}" + (
        rf' | {_CHAR} {following} | "\\" ["\\/nt] {following}' if number < CHARS else ""
    )


BOUNDED_GRAMMAR = "\n".join((rf'{_START}[^" \\\x00-\x1f\x7f] rest1', *map(_counted, range(1, CHARS + 1))))
"""For further attempts: a model that found no end has it set, after so many characters.

Not for the first, since a longer feedback that ends by itself should not be cut. Each character is a rule of
its own, since xgrammar's counted repetition takes hundreds of times as long at each token; in return it takes
seconds to compile, once, where the vocabulary is as large as Gemma's (``benchmarks/masks.py``).
"""
