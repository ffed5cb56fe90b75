"""Run in the server's environment: our short cuts beside what they stand for in vLLM."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import StructuredOutputsParams
from vllm.tokenizers.detokenizer_utils import convert_ids_list_to_tokens
from vllm.v1.engine.logprobs import LogprobsProcessor
from vllm.v1.outputs import LogprobsLists
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch
from vllm.v1.sample.sampler import Sampler
from vllm.v1.structured_output.backend_xgrammar import validate_xgrammar_grammar

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "triton_cpu" / "backends" / "vllm"))

grammars = import_module("inprocess.grammars")
ours = import_module("inprocess.logprobs")
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
    convert = ours.remembering(convert_ids_list_to_tokens)
    expected = convert_ids_list_to_tokens(tokenizer, ids)
    assert convert(tokenizer, ids) == expected
    assert convert(tokenizer, ids[::-1]) == expected[::-1]


def compare_gathering() -> None:
    """Ids, log-probabilities and ranks, also of tokens that are not among the likeliest, and of equals."""
    torch.manual_seed(8)
    rows = torch.randn(64, 4096).log_softmax(dim=-1)
    rows[40:] = rows[40:].mul(4).round() / 4
    taken = torch.cat((rows[:20].argmax(dim=-1), torch.randint(0, 4096, (44,))))
    found = ours.gathering(Sampler.gather_logprobs)(rows, 6, taken)
    for one, other in zip(found[:3], Sampler.gather_logprobs(rows, 6, taken)[:3], strict=True):
        assert torch.equal(one, other)


def compare_processing(model: str) -> None:
    """The same JSON as before, from the same steps, with characters that several tokens make up."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer.encode("Molt bé: l'aigua 🎈 «ñ»", add_special_tokens=False)

    def filled(update: Any) -> Any:
        processor = LogprobsProcessor(tokenizer, [], None, 0.0, 6, None)
        rng = np.random.default_rng(9)
        for token in ids:
            others = rng.integers(0, len(tokenizer), 6)
            others[2] = token
            row = np.sort(rng.normal(-3, 1, 7).astype(np.float32))[None, ::-1]
            lists = LogprobsLists(np.array([[token, *others]]), row, np.array([3]), None)
            update(processor, lists)
        return processor

    theirs, mine = filled(LogprobsProcessor._update_sample_logprobs), filled(ours.take_note)
    expected = [
        {
            str(token): {"logprob": one.logprob, "rank": one.rank, "decoded_token": one.decoded_token}
            for token, one in step.items()
        }
        for step in theirs.logprobs
    ]
    found = json.loads(ours.as_json(mine.logprobs))
    assert found == expected
    assert [list(step) for step in found] == [list(step) for step in expected]
    assert mine.cumulative_logprob == theirs.cumulative_logprob
    assert ours.as_json(None) == b"null"
    infinite = ours.Position([1], [-float("inf")], 1, ["a"])
    assert json.loads(ours.as_json([infinite]))[0]["1"]["logprob"] == -float("inf")


def check_grammars() -> None:
    """A grammar is checked until it was found good; a bad one is refused each time."""
    checked: list[str] = []

    def validate(params: SamplingParams) -> None:
        checked.append(params.structured_outputs.grammar)
        validate_xgrammar_grammar(params)

    once = grammars.checking_once(validate)
    good = 'root ::= "a" | "b"'
    for _ in range(3):
        once(SamplingParams(structured_outputs=StructuredOutputsParams(grammar=good)))
        try:
            once(SamplingParams(structured_outputs=StructuredOutputsParams(grammar="root ::= (")))
        except VLLMValidationError:
            continue
        raise AssertionError("a bad grammar was taken")
    assert checked.count(good) == 1
    assert len(checked) == 4


if __name__ == "__main__":
    check_grammars()
    compare_top_p()
    compare_gathering()
    compare_processing(sys.argv[1])
    compare_decoding(sys.argv[1])
    print("the same")
