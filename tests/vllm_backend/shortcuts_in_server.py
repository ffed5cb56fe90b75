"""Run in the server's environment: our short cuts beside what they stand for in vLLM."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import torch
from transformers import AutoTokenizer
from vllm.tokenizers.detokenizer_utils import convert_ids_list_to_tokens
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "triton_cpu" / "backends" / "vllm"))

remembering = import_module("inprocess.decoding").remembering
top_p = import_module("inprocess.top_p")

sorted_whole: list[int] = []


def apply(logits: torch.Tensor, k: object, p: torch.Tensor, sync: bool = False) -> torch.Tensor:
    """vLLM's own, which also notes for how many sequences it was asked."""
    sorted_whole.append(len(logits))
    return apply_top_k_top_p_pytorch(logits, k, p, sync)


def compare_top_p() -> None:
    """Sharp, flat and constrained logits, with several p in one batch: the same tokens stay."""
    torch.manual_seed(7)
    sharp = torch.randn(40, 4096) * 12
    flat = torch.randn(40, 4096) * 0.1
    constrained = torch.full((40, 4096), -float("inf"))
    constrained[:, :3] = torch.randn(40, 3)
    for logits, larger in ((sharp, 0), (flat, 40), (constrained, 0)):
        p = torch.linspace(0.2, 0.95, 40)
        sorted_whole.clear()
        found = top_p.selecting(apply)(logits.clone(), None, p)
        assert sum(sorted_whole) <= larger + 2, (sorted_whole, larger)
        expected = apply_top_k_top_p_pytorch(logits.clone(), None, p)
        assert torch.equal(found, expected)
    whole = top_p.selecting(apply)(sharp.clone(), None, torch.ones(40))
    assert torch.equal(whole, apply_top_k_top_p_pytorch(sharp.clone(), None, torch.ones(40)))
    small = torch.randn(2, top_p.LIKELIEST // 2)
    p = torch.tensor([0.5, 0.9])
    assert torch.equal(
        top_p.selecting(apply)(small.clone(), None, p), apply_top_k_top_p_pytorch(small, None, p)
    )


def compare_decoding(model: str) -> None:
    """Every token of the vocabulary, asked for twice, is what vLLM makes of it."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = list(range(len(tokenizer)))
    convert = remembering(convert_ids_list_to_tokens)
    expected = convert_ids_list_to_tokens(tokenizer, ids)
    assert convert(tokenizer, ids) == expected
    assert convert(tokenizer, ids[::-1]) == expected[::-1]


if __name__ == "__main__":
    compare_top_p()
    compare_decoding(sys.argv[1])
    print("the same")
