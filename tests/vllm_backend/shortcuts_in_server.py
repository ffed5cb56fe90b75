"""Run in the server's environment: our short cuts beside what they stand for in vLLM."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer
from vllm.v1.engine.logprobs import LogprobsProcessor
from vllm.v1.outputs import LogprobsLists, LogprobsTensors
from vllm.v1.sample.ops.topk_topp_sampler import TopKTopPSampler, apply_top_k_top_p_pytorch
from vllm.v1.sample.sampler import Sampler

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "triton_cpu" / "backends" / "vllm"))

ours = import_module("inprocess.logprobs")
top_p = import_module("inprocess.top_p")
wanted = import_module("inprocess.wanted")

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


def compare_drawing() -> None:
    """The same tokens step after step wherever chance has no part in it, or a seed of the sequence's own."""
    torch.manual_seed(11)
    samplers = TopKTopPSampler(), TopKTopPSampler()
    seeded = [{row: torch.Generator().manual_seed(row) for row in range(0, 40, 2)} for _ in samplers]
    p = torch.full((40,), 0.9)
    p[-1] = 1.0
    drawn: list[int] = []
    draw = top_p.drawing(noting_rows(TopKTopPSampler.forward_cpu, drawn))
    for scale in (12.0, 3.0, 12.0, 0.1):
        logits = torch.randn(40, 4096) * scale
        expected, _ = TopKTopPSampler.forward_cpu(samplers[0], logits.clone(), seeded[0], None, p)
        found, _ = draw(samplers[1], logits.clone(), seeded[1], None, p)
        sure = logits.softmax(dim=-1).amax(dim=-1) >= p
        same = sure | torch.tensor([row in seeded[0] for row in range(40)])
        assert torch.equal(found[same], expected[same])
        assert drawn.pop() == 40 - int(sure.sum())
        for one, other in zip(*(generators.values() for generators in seeded), strict=True):
            assert torch.equal(one.get_state(), other.get_state())


def noting_rows(draw: Any, drawn: list[int]) -> Any:
    def noting(sampler: Any, logits: torch.Tensor, *others: Any) -> Any:
        drawn.append(len(logits))
        return draw(sampler, logits, *others)

    return noting


def compare_gathering() -> None:
    """Ids, log-probabilities and ranks, also of tokens that are not among the likeliest, and of equals."""
    torch.manual_seed(8)
    rows = torch.randn(64, 4096).log_softmax(dim=-1)
    rows[40:] = rows[40:].mul(4).round() / 4
    taken = torch.cat((rows[:20].argmax(dim=-1), torch.randint(0, 4096, (44,))))
    step = wanted.Step()
    gather = wanted.gathering(Sampler.gather_logprobs, step)
    expected = Sampler.gather_logprobs(rows, 6, taken)
    found = gather(rows, 6, taken)
    for one, other in zip(found[1:3], expected[1:3], strict=True):
        assert torch.equal(one, other)
    # Which of several equals is named is left open; each has to be what it is said to be.
    assert torch.equal(found[0][:40], expected[0][:40])
    assert torch.equal(rows.gather(1, found[0].long()), found[1])
    assert all(len(set(places)) == len(places) for places in found[0][:, 1:].tolist())
    compute = wanted.computing(lambda logits: logits.clone(), step)
    for chosen in ([3, 11, 50], []):
        step.rows = torch.tensor(chosen, dtype=torch.int64)
        some = gather(compute(rows), 6, taken)
        assert some[2].nonzero().squeeze(1).tolist() == chosen
        for one, other in zip(some[:3], found[:3], strict=True):
            assert torch.equal(one[chosen], other[chosen])


def compare_processing(model: str) -> None:
    """The same JSON from the same steps: of every token, and of characters that several make up."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer.encode("Molt bé: l'aigua 🎈 «ñ»", add_special_tokens=False)
    steps = LogprobsTensors(*steps_of(np.array([*ids, *range(len(tokenizer))]), len(tokenizer)))
    for decoding in (tokenizer, None):
        compare_answers(decoding, steps)


def steps_of(ids: Any, size: int) -> Iterator[torch.Tensor]:
    """Alternatives of each token, the third of them itself, with falling log-probabilities, and its rank."""
    rng = np.random.default_rng(9)
    others = rng.integers(0, size, (len(ids), 6))
    others[:, 2] = ids
    yield torch.from_numpy(np.concatenate((ids[:, None], others), axis=1))
    yield torch.from_numpy(-np.sort(rng.exponential(3, (len(ids), 7)).astype(np.float32)))
    yield torch.full((len(ids),), 3)


def compare_answers(tokenizer: Any, steps: LogprobsTensors) -> None:
    def filled(lists: LogprobsLists, update: Any) -> Any:
        processor = LogprobsProcessor(tokenizer, [], None, 0.0, 6, None)
        for number in range(len(lists.logprobs)):
            update(processor, lists.slice_request(number, 1))
        return processor

    theirs = filled(steps.tolists(), LogprobsProcessor._update_sample_logprobs)
    mine = filled(ours.listing(LogprobsTensors.tolists)(steps), ours.take_note)
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


if __name__ == "__main__":
    compare_top_p()
    compare_drawing()
    compare_gathering()
    compare_processing(sys.argv[1])
    print("the same")
