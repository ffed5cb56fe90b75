"""`python -m demo_model.train`: make the data, learn the tokenizer, train the model, write the checkpoint.

Everything follows from the seed. Cut off, it goes on from its last saved state when it is started again with
the same arguments.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer
from transformers import Gemma2ForCausalLM

from demo_model import architecture, tokens
from demo_model.bpe import VOCABULARY_SIZE, train_tokenizer
from demo_model.dataset import LATER_GROUP, LATER_TRAIN_ITEMS, TRAIN_ITEMS, Item, items
from demo_model.encoding import encode, prompt_of
from demo_model.loss_curve import Point, read_csv, write_csv, write_svg
from demo_model.marks import MAX_MARK
from demo_model.phrases import Side
from demo_model.production import INSTRUCTION
from demo_model.training import Phase, Recipe, Step, train

CHECKPOINT: Final = Path(__file__).parent / "checkpoint"
NOTICE: Final = (
    "This model was trained on made-up texts, for demonstrations and tests only: never grade people with it."
)
_TOKENIZER_ITEMS: Final = 24_000
_REPORT_EVERY_STEPS: Final = 25


def new_model(seed: int) -> Gemma2ForCausalLM:
    """Return the untrained model: about 2.3 M weights, a third of them in the embedding."""
    torch.manual_seed(seed)
    config = architecture.gemma2_config(
        vocab_size=VOCABULARY_SIZE, hidden=192, layers=4, heads=4, kv_heads=2, mlp=512
    )
    config._attn_implementation = "eager"  # the only one with Gemma 2's soft-capping
    return Gemma2ForCausalLM(config)


def learn_tokenizer(made: Sequence[Item]) -> Tokenizer:
    """Return the tokenizer learnt from the first items' prompts and answers."""

    def texts() -> Iterator[str]:
        for item in made[:_TOKENIZER_ITEMS]:
            yield prompt_of(item)
            yield item.target()

    return train_tokenizer(texts(), INSTRUCTION)


class Progress:
    """Prints a line now and then, and keeps the points of the loss curve."""

    def __init__(self, out_dir: Path) -> None:
        self._curve = out_dir / "loss.csv"
        self._stretch: list[Step] = []
        self.points: list[Point] = []

    def __call__(self, step: Step) -> None:
        """Take note of one step; the first may go on where an earlier run was cut off."""
        if not self.points and not self._stretch and step.number > 1:
            self.points = [point for point in read_csv(self._curve) if point.step < step.number]
        self._stretch.append(step)
        if step.number % _REPORT_EVERY_STEPS and step.number != step.of:
            return
        count, seconds = len(self._stretch), sum(one.seconds for one in self._stretch)
        point = Point(
            step=step.number,
            loss=sum(one.loss for one in self._stretch) / count,
            mark_loss=sum(one.mark_loss for one in self._stretch) / count,
            rate=step.rate,
            items_per_s=sum(one.items for one in self._stretch) / seconds,
        )
        self._stretch.clear()
        self.points.append(point)
        left_min = (step.of - step.number) * seconds / count / 60
        print(
            f"step {step.number}/{step.of}  loss {point.loss:.3f}  mark {point.mark_loss:.3f}"
            f"  {point.items_per_s:.0f} items/s  {left_min:.1f} min left",
            flush=True,
        )
        write_csv(self.points, self._curve)
        write_svg(self.points, self._curve.with_suffix(".svg"))


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train the demo model from scratch.")
    parser.add_argument("--out", type=Path, default=CHECKPOINT)
    parser.add_argument("--items", type=int, default=TRAIN_ITEMS, help="of the first phase (a trial: 12000)")
    parser.add_argument("--later-items", type=int, default=LATER_TRAIN_ITEMS, help="of the second phase")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    # One thread, so that the weights do not depend on the number of cores. Two are not twice as fast, and far
    # slower when something else takes one of the cores.
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    arguments.out.mkdir(parents=True, exist_ok=True)

    made = list(items(Side.TRAIN, arguments.items, arguments.seed))
    tokenizer = learn_tokenizer(made)
    tokens.save(tokenizer, arguments.out, architecture.MAX_POSITIONS)
    later = list(items(Side.TRAIN, arguments.later_items, arguments.seed, first=TRAIN_ITEMS))
    phases = (
        Phase(
            encode(tokenizer, made),
            group=1,
            batch_items=32,
            peak_rate=2e-3,
            warmup_steps=150,
            mark_weight=4.0,
        ),
        # Twins in one batch teach what is learnt last, to compare an answer with what was asked. After the
        # first phase alone, one off-topic answer in five got a good mark.
        Phase(
            encode(tokenizer, later),
            group=LATER_GROUP,
            batch_items=16,
            peak_rate=1e-3,
            warmup_steps=50,
            mark_weight=12.0,
            topic_weight=0.5,
        ),
    )
    model = new_model(arguments.seed)
    recipe = Recipe(
        seed=arguments.seed,
        # Half the time where the CPU multiplies bf16 itself; elsewhere it would be emulated, and slow.
        bf16_products=bool(torch.cpu.get_capabilities().get("avx512_bf16", False)),
    )
    count = len(made) + len(later)
    print(f"{count} items, {architecture.parameter_count(model):,} weights, {recipe}", flush=True)
    vocabulary = tokenizer.get_vocab()
    marks = frozenset(vocabulary[str(mark)] for mark in range(MAX_MARK + 1))
    state_file = arguments.out / "unfinished.pt"
    progress = Progress(arguments.out)
    train(model, phases, marks, recipe=recipe, state_file=state_file, report=progress)
    architecture.save(model, arguments.out, NOTICE)
    print(f"{arguments.out}: written after {(time.monotonic() - started) / 60:.1f} min")


if __name__ == "__main__":
    main()
