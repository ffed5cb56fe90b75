"""The training loop: answer tokens only, AdamW, a warm-up and a cosine, and a state to go on from."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import Gemma2ForCausalLM

from demo_model.encoding import IGNORED, Example, batches, collate


@dataclass(frozen=True)
class Recipe:
    """How to train. AdamW's rate is `peak_rate` after `warmup_steps`, and ends at `last_share` of it."""

    seed: int = 2024
    batch_items: int = 16
    passes: int = 1
    peak_rate: float = 1.5e-3
    last_share: float = 0.02
    warmup_steps: int = 150
    weight_decay: float = 0.05
    max_gradient_norm: float = 1.0
    mark_weight: float = 4.0  # the mark is one token in thirty, and the point of the other twenty-nine
    save_every_steps: int = 200
    bf16_products: bool = False


@dataclass(frozen=True)
class Step:
    """What one step measured. Losses are mean nats a token: of the answer, and of the mark's token alone."""

    number: int
    of: int
    loss: float
    mark_loss: float
    rate: float
    items: int
    seconds: float


def train(
    model: Gemma2ForCausalLM,
    examples: Sequence[Example],
    mark_tokens: frozenset[int],
    *,
    recipe: Recipe,
    state_file: Path,
    report: Callable[[Step], None],
) -> None:
    """Train `model` in place; `mark_tokens` are the ids of the six marks.

    `state_file` is written now and then and, when it is there at the start, training goes on from it.
    """
    order = [
        batch
        for number in range(recipe.passes)
        for batch in batches(examples, recipe.batch_items, random.Random(f"{recipe.seed}/{number}"))
    ]
    optimizer = _optimizer(model, recipe)
    done = _restore(model, optimizer, state_file)
    marks = torch.tensor(sorted(mark_tokens))
    model.train()
    for number in range(done, len(order)):
        started = time.monotonic()
        rate = _rate(recipe, number, len(order))
        for group in optimizer.param_groups:
            group["lr"] = rate
        ids, labels = collate([examples[place] for place in order[number]])
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16_products):
            loss, mark_loss, objective = _losses(model, ids, labels, marks, recipe.mark_weight)
        objective.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_gradient_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds = time.monotonic() - started
        report(Step(number + 1, len(order), loss, mark_loss, rate, len(ids), seconds))
        if (number + 1) % recipe.save_every_steps == 0:
            _keep(model, optimizer, number + 1, state_file)
    model.train(False)
    state_file.unlink(missing_ok=True)


def _losses(
    model: Gemma2ForCausalLM, ids: torch.Tensor, labels: torch.Tensor, marks: torch.Tensor, mark_weight: float
) -> tuple[float, float, torch.Tensor]:
    """Return the mean loss, the mean loss of the marks, and the weighted sum to descend.

    Only the answer's positions go through the output layer: in so small a model it costs more than a block.
    """
    asked = labels != IGNORED
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[asked]
    cap = float(model.config.final_logit_softcapping or math.inf)
    logits = torch.tanh(model.lm_head(hidden).float() / cap) * cap
    targets = labels[asked]
    losses = functional.cross_entropy(logits, targets, reduction="none")
    first_digit = _first_mark(labels, marks)[asked]
    weights = torch.where(first_digit, mark_weight, 1.0)
    objective = (losses * weights).sum() / weights.sum()
    return losses.mean().item(), losses[first_digit].mean().item(), objective


def _first_mark(labels: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """Return where each row's first digit is: bool [items, tokens]. Later digits belong to the course."""
    digits = torch.isin(labels, marks)
    return digits & (digits.cumsum(dim=1) == 1)


def _rate(recipe: Recipe, step: int, steps: int) -> float:
    if step < recipe.warmup_steps:
        return recipe.peak_rate * (step + 1) / recipe.warmup_steps
    progress = (step - recipe.warmup_steps) / max(steps - recipe.warmup_steps, 1)
    share = recipe.last_share + (1 - recipe.last_share) * 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.peak_rate * share


def _optimizer(model: Gemma2ForCausalLM, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW; norms' scales, being vectors, are not decayed."""
    weights = list(model.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in weights if weight.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [weight for weight in weights if weight.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=(0.9, 0.98), fused=True)


def _keep(model: Gemma2ForCausalLM, optimizer: torch.optim.AdamW, step: int, state_file: Path) -> None:
    unfinished = state_file.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, unfinished)
    unfinished.replace(state_file)


def _restore(model: Gemma2ForCausalLM, optimizer: torch.optim.AdamW, state_file: Path) -> int:
    if not state_file.exists():
        return 0
    state = torch.load(state_file, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
