"""Top-p on the CPU without sorting the whole vocabulary for each token.

vLLM sorts all logits of all sequences at every step where it has no GPU kernel. The nucleus of a trained
model, at a low temperature, is a few tokens: those are found by a partial selection, and only a sequence with
a larger nucleus is sorted. The same tokens stay, with the same logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from vllm.v1.sample.ops import topk_topp_sampler

LIKELIEST = 8
"""How many tokens of each sequence are looked at before its whole vocabulary is sorted."""

Apply = Callable[..., torch.Tensor]


def selecting(apply: Apply) -> Apply:
    """``apply_top_k_top_p_pytorch`` with a short cut for top-p alone. Shapes: logits [B, V], k and p [B]."""

    def apply_selecting(
        logits: torch.Tensor, k: torch.Tensor | None, p: torch.Tensor | None, allow_cpu_sync: bool = False
    ) -> torch.Tensor:
        if p is None or k is not None:
            return apply(logits, k, p, allow_cpu_sync)
        shares, places = logits.softmax(dim=-1).topk(min(LIKELIEST, logits.shape[-1]), dim=-1)
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


PATCHES = ((topk_topp_sampler, "apply_top_k_top_p_pytorch", selecting),)
