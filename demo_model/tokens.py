"""Gemma's control tokens around a byte-level BPE, saved as transformers and vLLM expect Gemma's own.

Byte level means that no text is ever unknown: accents, the middle dot of "l·l", emoji and stray bytes all
have tokens. The control tokens keep Gemma's spelling and its first four ids.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

PAD: Final = "<pad>"
EOS: Final = "<eos>"
BOS: Final = "<bos>"
UNK: Final = "<unk>"
START_OF_TURN: Final = "<start_of_turn>"
END_OF_TURN: Final = "<end_of_turn>"

CONTROL_TOKENS: Final = (PAD, EOS, BOS, UNK, START_OF_TURN, END_OF_TURN)
"""In the order of their ids, from 0."""


def token_id(control_token: str) -> int:
    """Return the id of one of `CONTROL_TOKENS`."""
    return CONTROL_TOKENS.index(control_token)


def byte_vocabulary() -> dict[str, int]:
    """Return the smallest vocabulary: the control tokens, then one entry for each of the 256 bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return {token: i for i, token in enumerate((*CONTROL_TOKENS, *alphabet))}


def byte_level(bpe: models.BPE) -> Tokenizer:
    """Dress a BPE model as Gemma's tokenizer: control tokens are single tokens and <bos> comes by itself."""
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in CONTROL_TOKENS]
    )
    add_bos(tokenizer)
    return tokenizer


def add_bos(tokenizer: Tokenizer) -> None:
    """Make every encoded text start with <bos>, as Gemma's tokenizer does."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS}:0 $A:0",
        pair=f"{BOS}:0 $A:0 {BOS}:1 $B:1",
        special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
    )


def save(tokenizer: Tokenizer, out_dir: Path, max_length: int) -> None:
    """Write tokenizer.json and the settings that AutoTokenizer reads; `max_length` is in tokens."""
    out_dir.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out_dir / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": EOS,
        "bos_token": BOS,
        "unk_token": UNK,
        "additional_special_tokens": [START_OF_TURN, END_OF_TURN],
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
        "padding_side": "left",
    }
    (out_dir / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
