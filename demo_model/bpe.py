"""The demo model's tokenizer: a byte-level BPE learnt from the made-up data, around Gemma's control tokens.

Every line of the instruction, which is the same in all prompts, is kept in one piece and so becomes one
token: a prompt is then mostly the student's own text, which is what a small model can spend its time on. The
rest is cut into words, so that tokens are learnt for words and not for whole sentences of the training side.
Each digit is a token of its own, as in Gemma: the mark has one token, whose probability can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from demo_model.tokens import CONTROL_TOKENS, byte_level

VOCABULARY_SIZE: Final = 4096

_WORDS: Final = r"(?i: ?\b[ldmnst]['’])| ?\p{L}+(?:·\p{L}+)*|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train_tokenizer(texts: Iterable[str], instruction: str) -> Tokenizer:
    """Learn `VOCABULARY_SIZE` tokens from whole prompts and targets; all prompts share `instruction`."""
    lines = sorted({re.escape(line) for line in instruction.splitlines() if line}, key=len, reverse=True)
    tokenizer = byte_level(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("|".join([*lines, _WORDS])), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
