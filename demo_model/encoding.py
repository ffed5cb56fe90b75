"""Items as token ids, and batches of items of about the same length, so that little is spent on padding."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from tokenizers import Tokenizer

from demo_model.dataset import Item
from demo_model.production import build_prompt
from demo_model.tokens import END_OF_TURN, PAD, token_id

IGNORED: Final = -100
"""The label of a position that the loss leaves out, as in PyTorch's cross entropy."""

_POOL_BATCHES: Final = 40


@dataclass(frozen=True)
class Example:
    """One training text in token ids: the prompt, from <bos> on, and the answer with its end of turn."""

    prompt: list[int]
    answer: list[int]

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
    return [Example(prompt.ids, answer.ids) for prompt, answer in zip(prompts, answers, strict=True)]


def batches(examples: Sequence[Example], size: int, rng: random.Random) -> list[list[int]]:
    """Return places in `examples`, `size` to a batch, in random order but with like lengths together.

    Sorting all examples would make the batches the same in every pass; so pools of `_POOL_BATCHES` batches,
    drawn at random, are sorted one by one.
    """
    places = list(range(len(examples)))
    rng.shuffle(places)
    drawn: list[list[int]] = []
    for start in range(0, len(places), size * _POOL_BATCHES):
        pool = sorted(
            places[start : start + size * _POOL_BATCHES], key=lambda place: (len(examples[place]), place)
        )
        drawn.extend(pool[first : first + size] for first in range(0, len(pool), size))
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
