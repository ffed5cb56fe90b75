"""Whether a student handed in the assignment, or the grader's instructions, instead of a text. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from folding import Seen

RUN_WORDS = 5
"""So many words in a row that stand in a source, too, count as copied; fewer happen by themselves."""
COPIED_SHARE = 0.5
MIN_WORDS = 6

Runs = frozenset[tuple[str, ...]]


def runs_of(words: list[str]) -> Iterator[tuple[str, ...]]:
    """All runs of ``RUN_WORDS`` words."""
    return zip(*(words[start:] for start in range(RUN_WORDS)), strict=False)


def sources(text: str) -> Runs:
    """What ``copied`` looks for."""
    return frozenset(runs_of(Seen.of(text).words))


def copied(words: list[str], runs: Runs) -> bool:
    """Whether half of a text's ``words`` or more were taken from where ``runs`` come from."""
    if len(words) < MIN_WORDS or runs.isdisjoint(runs_of(words)):
        return False
    taken = [False] * len(words)
    for start, run in enumerate(runs_of(words)):
        if run in runs:
            taken[start : start + RUN_WORDS] = [True] * RUN_WORDS
    return sum(taken) >= COPIED_SHARE * len(words)
