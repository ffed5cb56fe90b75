"""`python -m demo_model.offline`: mark held-out items with transformers alone: greedy, unconstrained."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer, Gemma2ForCausalLM

from demo_model.agreement import Graded, parse, score
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
            written = model.generate(  # type: ignore[misc]
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                max_new_tokens=_MAX_NEW_TOKENS,
                do_sample=False,
            )
        new = written[:, batch.input_ids.shape[1] :]
        yield from tokenizer.batch_decode(new, skip_special_tokens=True)


def main() -> None:
    """Read the command line, mark, and print the figures."""
    parser = argparse.ArgumentParser(description="Mark held-out items with transformers alone.")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--items", type=int, default=HELD_OUT_ITEMS)
    parser.add_argument("--show", type=int, default=5, help="how many answers to print")
    arguments = parser.parse_args()
    made = list(items(Side.HELD_OUT, arguments.items))
    started = time.monotonic()
    texts = list(answers(arguments.checkpoint, made))
    seconds = time.monotonic() - started
    for item, text in list(zip(made, texts, strict=True))[: arguments.show]:
        print(f"{item.curso} | {item.consigna} | {item.respuesta}\n  right: {item.target()}\n  model: {text}")
    parsed = [parse(text) for text in texts]
    print(score(made, [graded or Graded(None, None) for graded in parsed]))
    print(f"valid JSON                {sum(graded is not None for graded in parsed)} of {len(parsed)}")
    print(f"items/s                   {len(made) / seconds:.1f}")


if __name__ == "__main__":
    main()
