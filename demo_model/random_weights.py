"""`python -m demo_model.random_weights OUT_DIR`: a Gemma 2 of about 1.5 M random weights.

It loads and answers like any Gemma 2, so the service can be run and timed before there is a model that knows
anything. A given seed writes the same weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import torch
from tokenizers import models
from transformers import Gemma2ForCausalLM

from demo_model import architecture, tokens

NOTICE: Final = "The weights of this model are random: its marks and its feedback mean nothing."


def write_random_model(out_dir: Path, seed: int = 0) -> int:
    """Write the model and its byte-level tokenizer to `out_dir`; return the number of parameters."""
    vocabulary = tokens.byte_vocabulary()
    config = architecture.gemma2_config(
        vocab_size=len(vocabulary), hidden=192, layers=3, heads=4, kv_heads=2, mlp=768
    )
    torch.manual_seed(seed)
    model = Gemma2ForCausalLM(config)
    architecture.save(model, out_dir, NOTICE)
    tokens.save(
        tokens.byte_level(models.BPE(vocab=vocabulary, merges=[])), out_dir, architecture.MAX_POSITIONS
    )
    return architecture.parameter_count(model)


def main() -> None:
    """Read the command line and write the model."""
    parser = argparse.ArgumentParser(description="Write a tiny Gemma 2 with random weights.")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    count = write_random_model(arguments.out_dir, arguments.seed)
    print(f"{arguments.out_dir}: Gemma2ForCausalLM, {count:,} random weights in bf16. {NOTICE}")


if __name__ == "__main__":
    main()
