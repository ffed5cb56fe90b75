"""Log-probabilities where somebody reads them, and computed with less work.

A mark is among the first tokens of an answer, and nobody asks how likely the rest was; for vLLM it is all or
nothing. Here a request that is not streamed can say ``"extra_args": {"logprobs_tokens": 11}`` (the place that
vLLM keeps for what it doesn't know itself): its first so many tokens get log-probabilities, and only of those
is the cumulative one the sum. NVIDIA's backend takes it, too, and gives them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.outputs import LogprobsTensors
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from inprocess.selection import select

LIMIT = "logprobs_tokens"

Sample = Callable[..., Any]
Compute = Callable[[torch.Tensor], torch.Tensor]
Gather = Callable[[torch.Tensor, int, torch.Tensor], LogprobsTensors]


class Step:
    """The step that the engine is at. ``rows`` of its batch want log-probabilities; None: all."""

    rows: torch.Tensor | None = None


def still_wants(params: SamplingParams, written: int) -> bool:
    """Whether a request for log-probabilities wants the next token's, when ``written`` tokens are there."""
    extra = params.extra_args
    limit = extra.get(LIMIT) if extra else None
    return limit is None or written < limit or params.output_kind != RequestOutputKind.FINAL_ONLY


def wanted_rows(runner: Any) -> torch.Tensor | None:
    """The rows of the runner's batch that want them; None where vLLM's own way has to be gone."""
    batch = runner.input_batch
    if not batch.num_logprobs or batch.logprob_token_ids or min(batch.num_logprobs.values()) < 1:
        return None
    rows = [
        row
        for row, (request, written) in enumerate(zip(batch.req_ids, batch.req_output_token_ids, strict=False))
        if request in batch.num_logprobs
        and still_wants(runner.requests[request].sampling_params, len(written))
    ]
    return None if len(rows) == len(batch.req_ids) else torch.tensor(rows, dtype=torch.int64)


def choosing(sample: Sample, step: Step) -> Sample:
    """``GPUModelRunner._sample``, which says before whose log-probabilities are wanted."""

    def sample_choosing(runner: Any, logits: Any, drafts: Any) -> Any:
        step.rows = wanted_rows(runner) if drafts is None else None
        try:
            return sample(runner, logits, drafts)
        finally:
            step.rows = None

    return sample_choosing


def computing(compute: Compute, step: Step) -> Compute:
    """``Sampler.compute_logprobs`` of the wanted rows alone. Shapes: [B, V], and [W, V] comes back."""

    def compute_wanted(logits: torch.Tensor) -> torch.Tensor:
        return compute(logits if step.rows is None else logits[step.rows])

    return compute_wanted


def gathering(gather: Gather, step: Step) -> Gather:
    """``Sampler.gather_logprobs`` with a quicker selection.

    vLLM counts through the vocabulary for a rank that the alternatives themselves tell, unless the token is
    none of them. Shapes: rows [W, V], token_ids [B]; [B, N + 1] twice and [B] come back, with rank 0 where
    no log-probabilities are wanted.
    """

    def gather_wanted(rows: torch.Tensor, num_logprobs: int, token_ids: torch.Tensor) -> LogprobsTensors:
        if step.rows is None:
            return gather_once(rows, num_logprobs, token_ids)
        places = torch.zeros(len(token_ids), num_logprobs + 1, dtype=torch.int32)
        figures, ranks = torch.zeros_like(places, dtype=torch.float32), torch.zeros_like(token_ids)
        if len(rows):
            found = gather_once(rows, num_logprobs, token_ids[step.rows])
            places[step.rows], figures[step.rows], ranks[step.rows] = found[:3]
        return LogprobsTensors(places, figures, ranks)

    def gather_once(rows: torch.Tensor, num_logprobs: int, token_ids: torch.Tensor) -> LogprobsTensors:
        if num_logprobs < 1:
            return gather(rows, num_logprobs, token_ids)
        largest, places = select(rows, num_logprobs)
        taken_ids = token_ids.unsqueeze(-1)
        taken = rows.gather(-1, taken_ids)
        ranks = (largest >= taken).sum(dim=-1)
        # Only of these could there be more, beyond the largest.
        beyond = (taken[:, 0] <= largest[:, -1]).nonzero().squeeze(dim=1)
        if beyond.numel():
            ranks[beyond] = (rows[beyond] >= taken[beyond]).sum(dim=-1)
        indices = torch.cat((taken_ids, places), dim=1).to(torch.int32)
        return LogprobsTensors(indices, torch.cat((taken, largest), dim=1), ranks)

    return gather_wanted


def compute_what_is_wanted() -> None:
    """Have this process's engine, of which there is one, work like this."""
    step = Step()
    GPUModelRunner._sample = choosing(GPUModelRunner._sample, step)
    Sampler.compute_logprobs = staticmethod(computing(Sampler.compute_logprobs, step))
    Sampler.gather_logprobs = staticmethod(gathering(Sampler.gather_logprobs, step))
