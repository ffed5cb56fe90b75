"""Items as token ids, and batches of items of about the same length, so that little is spent on padding."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from tokenizers import Tokenizer

from demo_model.assignments import assignments
from demo_model.dataset import Item
from demo_model.production import build_prompt
from demo_model.tokens import END_OF_TURN, PAD, token_id

IGNORED: Final = -100
"""The label of a position that the loss leaves out, as in PyTorch's cross entropy."""

TOPICS: Final = tuple(assignment.topic for assignment in assignments())

_POOL_BATCHES: Final = 40


@dataclass(frozen=True)
class Example:
    """One training text in token ids: the prompt, from <bos> on, and the answer with its end of turn.

    `asked` and `about` are places in `TOPICS`, or `IGNORED`.
    """

    prompt: list[int]
    answer: list[int]
    asked: int
    about: int

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def prompt_of(item: Item) -> str:
    """Return the production prompt for `item`."""
    return build_prompt(item.curso, item.consigna, item.respuesta)


def encode(tokenizer: Tokenizer, items: Sequence[Item]) -> list[Example]:
    """Return the items as examples, in the same order."""
    prompts = tokenizer.encode_batch([prompt_of(item) for item in items])
    answers = tokenizer.encode_batch(
        [item.target() + END_OF_TURN for item in items], add_special_tokens=False
    )
    places = {topic: place for place, topic in enumerate(TOPICS)}
    return [
        Example(prompt.ids, answer.ids, places[item.asked], places.get(item.about, IGNORED))
        for prompt, answer, item in zip(prompts, answers, items, strict=True)
    ]


def batches(examples: Sequence[Example], size: int, group: int, rng: random.Random) -> list[list[int]]:
    """Return places in `examples`, `size` to a batch, in random order but with like lengths together.

    Each `group` consecutive examples stay in one batch. Sorting all of them would make the batches the same
    in every run; so pools of `_POOL_BATCHES` batches, drawn at random, are sorted one by one.
    """
    groups = [range(first, min(first + group, len(examples))) for first in range(0, len(examples), group)]
    rng.shuffle(groups)
    drawn: list[list[int]] = []
    groups_in_batch = max(size // group, 1)
    pool_groups = groups_in_batch * _POOL_BATCHES
    for start in range(0, len(groups), pool_groups):
        pool = sorted(
            groups[start : start + pool_groups],
            key=lambda places: (max(len(examples[place]) for place in places), places[0]),
        )
        for first in range(0, len(pool), groups_in_batch):
            drawn.append([place for places in pool[first : first + groups_in_batch] for place in places])
    rng.shuffle(drawn)
    return drawn


def collate(examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and labels, both int64 [examples, longest], padded on the right.

    The label of a position is the token that follows it, or `IGNORED` outside the answer. Padding needs no
    mask: attention looks back only, and nothing is asked of the padded positions.
    """
    width = max(len(example) for example in examples)
    ids = torch.full((len(examples), width), token_id(PAD))
    labels = torch.full((len(examples), width), IGNORED)
    for row, example in enumerate(examples):
        ids[row, : len(example)] = torch.tensor(example.prompt + example.answer)
        labels[row, len(example.prompt) - 1 : len(example) - 1] = torch.tensor(example.answer)
    return ids, labels
