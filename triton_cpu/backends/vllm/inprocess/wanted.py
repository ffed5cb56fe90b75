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


def has_enough(params: SamplingParams, written: int) -> bool:
    """Whether a request that wants log-probabilities needs none for the token after ``written`` others."""
    extra = params.extra_args
    limit = extra.get(LIMIT) if extra else None
    return limit is not None and written >= limit and params.output_kind == RequestOutputKind.FINAL_ONLY


def wanted_rows(runner: Any) -> torch.Tensor | None:
    """The rows of the runner's batch that want them; None where vLLM's own way has to be gone.

    A request that has enough leaves the batch's list of those that want some, so it is looked at no more.
    """
    batch = runner.input_batch
    wanting = batch.num_logprobs
    if batch.logprob_token_ids or (wanting and min(wanting.values()) < 1):
        return None
    rows = [row for row, request in enumerate(batch.req_ids) if request in wanting]
    for row in rows[:]:
        request = batch.req_ids[row]
        if has_enough(runner.requests[request].sampling_params, len(batch.req_output_token_ids[row])):
            del wanting[request]
            rows.remove(row)
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
