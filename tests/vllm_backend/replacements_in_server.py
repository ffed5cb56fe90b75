"""Run in the server's environment: each replacement beside vLLM's own function."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import vllm
from transformers import AutoTokenizer
from vllm.v1.engine.logprobs import LogprobsProcessor
from vllm.v1.outputs import LogprobsLists, LogprobsTensors
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p_pytorch
from vllm.v1.sample.sampler import Sampler

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "triton_cpu" / "backends" / "vllm"))

as_json = import_module("inprocess.logprobs").as_json
Position = import_module("inprocess.logprobs").Position
replacements = import_module("replacements")
logprobs = import_module("replacements.logprobs")
top_p = import_module("replacements.top_k_top_p")

MODULES = (logprobs, top_p)
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


def compare_gathering() -> None:
    """Of the rows that are wanted, the ids, log-probabilities and ranks; of the others rank 0."""
    torch.manual_seed(8)
    logits = torch.randn(64, 4096)
    taken = torch.cat((logits[:20].argmax(dim=-1), torch.randint(0, 4096, (44,))))
    step = logprobs.Step()
    compute = logprobs.computing_rows(Sampler.compute_logprobs, step)
    gather = logprobs.gathering_rows(Sampler.gather_logprobs, step)
    expected = Sampler.gather_logprobs(Sampler.compute_logprobs(logits), 6, taken)
    for one, other in zip(gather(compute(logits), 6, taken)[:3], expected[:3], strict=True):
        assert torch.equal(one, other)
    for chosen in ([3, 11, 50], []):
        step.rows = torch.tensor(chosen, dtype=torch.int64)
        some = gather(compute(logits), 6, taken)
        assert some[2].nonzero().squeeze(1).tolist() == chosen
        for one, other in zip(some[:3], expected[:3], strict=True):
            assert torch.equal(one[chosen], other[chosen])


def check_version() -> None:
    """For another version of vLLM nothing is replaced, and one warning says so."""
    replaced = [(owner, name) for module in MODULES for owner, name, _ in module.PATCHES]
    before = [getattr(owner, name) for owner, name in replaced]
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    replacements.logger.addHandler(handler)
    own = vllm.__version__
    vllm.__version__ = "0.99.0"
    try:
        assert replacements.apply(["logprobs", "top_k_top_p"]) == []
        assert replacements.apply([]) == []
    finally:
        vllm.__version__ = own
    assert [getattr(owner, name) for owner, name in replaced] == before
    (warning,) = heard
    assert "0.99.0" in warning
    assert replacements.WRITTEN_FOR in warning


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
    mine = filled(logprobs.listing(LogprobsTensors.tolists)(steps), logprobs.noting(None))
    expected = [
        {
            str(token): {"logprob": one.logprob, "rank": one.rank, "decoded_token": one.decoded_token}
            for token, one in step.items()
        }
        for step in theirs.logprobs
    ]
    found = json.loads(as_json(mine.logprobs))
    assert found == expected
    assert as_json(theirs.logprobs) == as_json(mine.logprobs)
    assert [list(step) for step in found] == [list(step) for step in expected]
    assert mine.cumulative_logprob == theirs.cumulative_logprob
    assert as_json(None) == b"null"
    infinite = Position([1], [-float("inf")], 1, ["a"])
    assert json.loads(as_json([infinite]))[0]["1"]["logprob"] == -float("inf")


if __name__ == "__main__":
    check_version()
    compare_top_p()
    compare_gathering()
    compare_processing(sys.argv[1])
    print("the same")
