"""The training loop: answer tokens only, AdamW, a warm-up and a cosine, and a state to go on from."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn import functional
from transformers import Gemma2ForCausalLM

from demo_model.encoding import IGNORED, Example, batches, collate
from demo_model.topic_heads import TopicHeads

_TOPIC_BLOCK: Final = 2
"""The heads read behind so many blocks: later ones can then compare."""


@dataclass(frozen=True)
class Recipe:
    """How to train, in all phases."""

    seed: int = 2024
    last_share: float = 0.02
    weight_decay: float = 0.05
    max_gradient_norm: float = 1.0
    save_every_steps: int = 200
    bf16_products: bool = False


@dataclass(frozen=True)
class Phase:
    """One pass over `examples`: AdamW's rate rises to `peak_rate`, then falls along a cosine."""

    examples: Sequence[Example]
    group: int  # so many consecutive examples share a batch
    batch_items: int
    peak_rate: float
    warmup_steps: int
    mark_weight: float  # the mark is one token in thirty, and the point of the other twenty-nine
    topic_weight: float = 0.0

    def order(self, seed: int) -> list[list[int]]:
        """Return the batches, as places in `examples`."""
        return batches(self.examples, self.batch_items, self.group, random.Random(f"{seed}/0"))

    @property
    def steps(self) -> int:
        """The number of batches."""
        return math.ceil(len(self.examples) / self.batch_items)


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
    phases: Sequence[Phase],
    mark_tokens: frozenset[int],
    *,
    recipe: Recipe,
    state_file: Path,
    report: Callable[[Step], None],
) -> None:
    """Train `model` in place; `mark_tokens` are the ids of the six marks.

    `state_file` is written now and then and, when it is there at the start, training goes on from it. Each
    phase begins with a new optimizer and with the weights as bf16 holds them.
    """
    marks = torch.tensor(sorted(mark_tokens))
    topics = TopicHeads(model.config.hidden_size)
    steps = sum(phase.steps for phase in phases)
    model.train()
    for place, phase in enumerate(phases):
        before = sum(earlier.steps for earlier in phases[:place])
        optimizer = _optimizer(model, topics, recipe)
        done = _restore(model, topics, optimizer, state_file, place)
        if done is None:
            continue
        order = phase.order(recipe.seed)
        for number in range(done, len(order)):
            started = time.monotonic()
            rate = _rate(recipe, phase, number)
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = [phase.examples[which] for which in order[number]]
            ids, labels = collate(chosen)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16_products):
                out = model.model(input_ids=ids, use_cache=False, output_hidden_states=True)
                first_digit = _first_mark(labels, marks)
                loss, mark_loss, objective = _losses(
                    model, out.last_hidden_state, labels, first_digit, phase.mark_weight
                )
                if phase.topic_weight:
                    early = out.hidden_states[_TOPIC_BLOCK][first_digit]
                    objective = objective + phase.topic_weight * topics(early, chosen)
            objective.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_gradient_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seconds = time.monotonic() - started
            report(Step(before + number + 1, steps, loss, mark_loss, rate, len(ids), seconds))
            if (number + 1) % recipe.save_every_steps == 0:
                _keep(model, topics, optimizer, state_file, phase=place, steps=number + 1)
        _round_to_bf16(model)
        _keep(model, topics, optimizer, state_file, phase=place, steps=phase.steps)
    model.train(False)
    state_file.unlink()


def _losses(
    model: Gemma2ForCausalLM,
    hidden: torch.Tensor,
    labels: torch.Tensor,
    first_digit: torch.Tensor,
    mark_weight: float,
) -> tuple[float, float, torch.Tensor]:
    """Return the mean loss, the mean loss of the marks, and the weighted mean to descend.

    Only the answer's positions go through the output layer: in so small a model it costs more than a block.
    """
    asked = labels != IGNORED
    cap = float(model.config.final_logit_softcapping or math.inf)
    logits = torch.tanh(model.lm_head(hidden[asked]).float() / cap) * cap
    losses = functional.cross_entropy(logits, labels[asked], reduction="none")
    is_mark = first_digit[asked]
    weights = torch.where(is_mark, mark_weight, 1.0)
    objective = (losses * weights).sum() / weights.sum()
    return losses.mean().item(), losses[is_mark].mean().item(), objective


def _first_mark(labels: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """Return where each row's first digit is: bool [items, tokens]. Later digits belong to the course."""
    digits = torch.isin(labels, marks)
    return digits & (digits.cumsum(dim=1) == 1)


def _rate(recipe: Recipe, phase: Phase, step: int) -> float:
    if step < phase.warmup_steps:
        return phase.peak_rate * (step + 1) / phase.warmup_steps
    progress = (step - phase.warmup_steps) / max(phase.steps - phase.warmup_steps, 1)
    share = recipe.last_share + (1 - recipe.last_share) * 0.5 * (1 + math.cos(math.pi * progress))
    return phase.peak_rate * share


def _round_to_bf16(model: Gemma2ForCausalLM) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16())


def _optimizer(model: Gemma2ForCausalLM, topics: TopicHeads, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW; norms' scales, being vectors, are not decayed."""
    weights = [*model.parameters(), *topics.parameters()]
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in weights if weight.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [weight for weight in weights if weight.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)


def _keep(
    model: Gemma2ForCausalLM,
    topics: TopicHeads,
    optimizer: torch.optim.AdamW,
    state_file: Path,
    **done: int,
) -> None:
    """Write the state after `done`, a phase and its steps."""
    parts = {"model": model, "topics": topics, "optimizer": optimizer}
    unfinished = state_file.with_suffix(".part")
    torch.save({name: part.state_dict() for name, part in parts.items()} | done, unfinished)
    unfinished.replace(state_file)


def _restore(
    model: Gemma2ForCausalLM,
    topics: TopicHeads,
    optimizer: torch.optim.AdamW,
    state_file: Path,
    place: int,
) -> int | None:
    """Return how many steps of the phase at `place` are done, or None if a later phase has begun.

    The weights are then as the state file has them.
    """
    if not state_file.exists():
        return 0
    state = torch.load(state_file, weights_only=True)
    model.load_state_dict(state["model"])
    topics.load_state_dict(state["topics"])
    if state["phase"] < place:
        return 0
    optimizer.load_state_dict(state["optimizer"])
    return None if state["phase"] > place else int(state["steps"])
