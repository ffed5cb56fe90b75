"""Top-p on the CPU without sorting the whole vocabulary for each token, nor drawing where there is no choice.

vLLM sorts all logits of all sequences at every step where it has no GPU kernel: a quarter of the engine's
time here. The nucleus of a trained model, at a low temperature, is a few tokens, and mostly one: those are
found by a partial selection, and only a sequence whose nucleus is larger is sorted. The same tokens stay,
with the same logits, and the same are drawn: a sequence's random numbers go on alike, needed or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from vllm.v1.sample.ops import topk_topp_sampler
from vllm.v1.sample.ops.topk_topp_sampler import TopKTopPSampler

from inprocess.selection import select

LIKELIEST = 8
"""How many tokens of each sequence are looked at before its whole vocabulary is sorted."""
SEEDS = 2**31
"""vLLM draws one number below it for each token of a sequence with a seed of its own."""

Apply = Callable[..., torch.Tensor]
Generators = Mapping[int, torch.Generator]
Draw = Callable[..., tuple[torch.Tensor, torch.Tensor | None]]


def likeliest(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of the likeliest tokens in falling order, and which they are.

    Shapes: logits [B, V]; [B, LIKELIEST] comes back twice.
    """
    return select(logits.softmax(dim=-1), min(LIKELIEST, logits.shape[-1]))


def selecting(apply: Apply) -> Apply:
    """``apply_top_k_top_p_pytorch`` with a short cut for top-p alone. Shapes: logits [B, V], k and p [B]."""

    def apply_selecting(
        logits: torch.Tensor, k: torch.Tensor | None, p: torch.Tensor | None, allow_cpu_sync: bool = False
    ) -> torch.Tensor:
        if p is None or k is not None:
            return apply(logits, k, p, allow_cpu_sync)
        shares, places = likeliest(logits)
        reached = shares.cumsum(dim=-1)
        # A token is outside once the likelier ones have the share p; the likeliest never is.
        outside = reached - shares >= p.unsqueeze(dim=1)
        outside[:, 0] = False
        kept = torch.full_like(logits, -float("inf"))
        kept.scatter_(1, places, logits.gather(1, places).masked_fill_(outside, -float("inf")))
        # With p = 1 all stay, however unlikely: sums that round to 1 must not decide that.
        larger = ((reached[:, -1] < p) | (p >= 1.0)).nonzero().squeeze(dim=1)
        if larger.numel():
            kept[larger] = apply(logits[larger], None, p[larger], allow_cpu_sync)
        return kept

    return apply_selecting


def drawing(draw: Draw) -> Draw:
    """``TopKTopPSampler.forward_cpu`` for the sequences whose nucleus is more than one token.

    Shapes: logits [B, V], k and p [B]; [B] comes back.
    """
    unused = torch.empty(1, dtype=torch.long)

    def draw_where_needed(
        sampler: Any, logits: torch.Tensor, generators: Generators, k: Any, p: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if (
            p is None
            or k is not None
            or sampler.use_fp64_gumbel
            or sampler.logprobs_mode.startswith("processed")
        ):
            return draw(sampler, logits, generators, k, p)
        shares, places = likeliest(logits)
        taken = places[:, 0].clone()
        several = ((shares[:, 0] < p) | (p >= 1.0)).nonzero().squeeze(dim=1)
        numbers = {row: number for number, row in enumerate(several.tolist())}
        theirs = {}
        for row, generator in generators.items():
            if row in numbers:
                theirs[numbers[row]] = generator
            else:
                unused.random_(0, SEEDS, generator=generator)
        if numbers:
            taken[several], _ = draw(sampler, logits[several], theirs, None, p[several])
        return taken, None

    return draw_where_needed


def select_instead_of_sorting() -> None:
    """Have this process's engine, of which there is one, work like this."""
    topk_topp_sampler.apply_top_k_top_p_pytorch = selecting(topk_topp_sampler.apply_top_k_top_p_pytorch)
    TopKTopPSampler.forward_cpu = drawing(TopKTopPSampler.forward_cpu)
