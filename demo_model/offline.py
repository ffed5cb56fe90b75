"""`python -m demo_model.offline`: held-out items through transformers alone, greedy and unconstrained.

Prints one JSON line an answer, for `python -m demo_model.agreement`: torch and scikit-learn then need not
share an environment.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, Gemma2ForCausalLM

from demo_model.dataset import HELD_OUT_ITEMS, Item, items
from demo_model.encoding import prompt_of
from demo_model.phrases import Side
from demo_model.train import CHECKPOINT

_BATCH_ITEMS = 50
_MAX_NEW_TOKENS = 100


def answers(checkpoint: Path, made: Sequence[Item]) -> Iterator[str]:
    """Yield what the model writes for each item, in order."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = Gemma2ForCausalLM.from_pretrained(checkpoint, attn_implementation="eager")
    for start in range(0, len(made), _BATCH_ITEMS):
        prompts = [prompt_of(item) for item in made[start : start + _BATCH_ITEMS]]
        batch = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
        with torch.inference_mode():
            written = model.generate(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                max_new_tokens=_MAX_NEW_TOKENS,
                do_sample=False,
            )
        new = written[:, batch.input_ids.shape[1] :]
        yield from tokenizer.batch_decode(new, skip_special_tokens=True)


def main() -> None:
    """Read the command line, and print what the model writes for each item."""
    parser = argparse.ArgumentParser(description="Print what the model writes for held-out items.")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--items", type=int, default=HELD_OUT_ITEMS)
    arguments = parser.parse_args()
    made = list(items(Side.HELD_OUT, arguments.items))
    started = time.monotonic()
    for item, text in zip(made, answers(arguments.checkpoint, made), strict=True):
        print(json.dumps({"id_alumno": item.id_alumno, "text": text}, ensure_ascii=False))
    print(f"{len(made) / (time.monotonic() - started):.1f} items/s", file=sys.stderr)


if __name__ == "__main__":
    main()
