"""Log-probabilities of the tokens that somebody reads, kept as numbers until an answer is done.

A mark is among the first tokens of an answer, and nobody asks how likely the rest was; for vLLM it is all or
nothing. Here a request that is not streamed can say ``"extra_args": {"logprobs_tokens": 11}`` (the place that
vLLM keeps for what it doesn't know itself): its first so many tokens get log-probabilities, and only of those
is the cumulative one the sum. vLLM takes that, too, and gives them all.

vLLM also decodes every alternative at every step and makes an object of it. Here each token is decoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.tokenizers.detokenizer_utils import convert_ids_list_to_tokens
from vllm.v1.engine.logprobs import LogprobsProcessor
from vllm.v1.outputs import LogprobsLists, LogprobsTensors
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

from inprocess.logprobs import Position
from inprocess.parameters import LIMIT

UNFINISHED = "\ufffd"
"""How a token ends that is only part of a character: what it means depends on those before it."""
CONTEXT = 4
"""As many tokens, vLLM says, as one character can have begun in."""
MAX_CORRECTED = 4096

Sample = Callable[..., Any]
Compute = Callable[[torch.Tensor], torch.Tensor]
Gather = Callable[[torch.Tensor, int, torch.Tensor], LogprobsTensors]
ToLists = Callable[..., LogprobsLists]


class Step:
    """The step that the engine is at. ``rows`` of its batch want log-probabilities; None: all."""

    rows: torch.Tensor | None = None


_step = Step()
_texts: dict[int, str] = {}
"""What each finished token that was met reads; this process has one tokenizer."""
_corrected: dict[tuple[tuple[int, ...], ...], list[str]] = {}
"""What unfinished ones read after which others: a constraint brings the same ones again and again."""


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


def choosing_rows(sample: Sample, step: Step = _step) -> Sample:
    """``GPUModelRunner._sample``, which says before whose log-probabilities are wanted."""

    def sample_choosing(runner: Any, logits: Any, drafts: Any) -> Any:
        step.rows = wanted_rows(runner) if drafts is None else None
        try:
            return sample(runner, logits, drafts)
        finally:
            step.rows = None

    return sample_choosing


def computing_rows(compute: Compute, step: Step = _step) -> Any:
    """``Sampler.compute_logprobs`` of the wanted rows alone. Shapes: [B, V], and [W, V] comes back."""

    def compute_wanted(logits: torch.Tensor) -> torch.Tensor:
        return compute(logits if step.rows is None else logits[step.rows])

    return staticmethod(compute_wanted)


def gathering_rows(gather: Gather, step: Step = _step) -> Any:
    """``Sampler.gather_logprobs`` of the wanted rows alone.

    Shapes: rows [W, V], token_ids [B]; [B, N + 1] twice and [B] come back, with rank 0 where no
    log-probabilities are wanted.
    """

    def gather_wanted(rows: torch.Tensor, num_logprobs: int, token_ids: torch.Tensor) -> LogprobsTensors:
        if step.rows is None:
            return gather(rows, num_logprobs, token_ids)
        places = torch.zeros(len(token_ids), num_logprobs + 1, dtype=torch.int32)
        figures, ranks = torch.zeros_like(places, dtype=torch.float32), torch.zeros_like(token_ids)
        if len(rows):
            found = gather(rows, num_logprobs, token_ids[step.rows])
            places[step.rows], figures[step.rows], ranks[step.rows] = found[:3]
        return LogprobsTensors(places, figures, ranks)

    return staticmethod(gather_wanted)


def listing(tolists: ToLists) -> ToLists:
    """``LogprobsTensors.tolists`` with Python's lists, made once for all requests of a step, not for each."""

    def as_lists(tensors: LogprobsTensors, cu_num_generated_tokens: list[int] | None = None) -> LogprobsLists:
        arrays = tolists(tensors, cu_num_generated_tokens)
        return arrays._replace(
            logprob_token_ids=arrays.logprob_token_ids.tolist(),
            logprobs=arrays.logprobs.tolist(),
            sampled_token_ranks=arrays.sampled_token_ranks.tolist(),
        )

    return as_lists


def noting(_: Any) -> Callable[[Any, LogprobsLists], None]:
    """``LogprobsProcessor._update_sample_logprobs`` that keeps a step's figures as they come.

    A token without any, as ``gathering_rows`` leaves some, has rank 0.
    """

    def note(processor: Any, lists: LogprobsLists) -> None:
        wanted = None if processor.num_logprobs == -1 else processor.num_logprobs + 1
        for ids, row, rank in zip(
            lists.logprob_token_ids, lists.logprobs, lists.sampled_token_ranks, strict=True
        ):
            if not rank:
                continue
            kept = ids[:wanted]
            processor.cumulative_logprob += row[0]
            processor.logprobs.append(Position(kept, row[:wanted], rank, _decoded(processor, kept)))

    return note


def _decoded(processor: Any, token_ids: Sequence[int]) -> list[str] | list[None]:
    """What some tokens read behind those that the processor has."""
    if processor.tokenizer is None:
        return [None] * len(token_ids)
    try:
        return [_texts[token] for token in token_ids]
    except KeyError:
        pass
    before = [position.token_ids[0] for position in processor.logprobs[-CONTEXT:]]
    key = tuple(token_ids), tuple(before)
    if key in _corrected:
        return _corrected[key]
    texts: list[str] = convert_ids_list_to_tokens(processor.tokenizer, token_ids)
    unfinished = [text.endswith(UNFINISHED) for text in texts]
    _texts.update(
        (token, text) for token, text, open_ in zip(token_ids, texts, unfinished, strict=True) if not open_
    )
    if not any(unfinished):
        return texts
    if len(_corrected) >= MAX_CORRECTED:
        _corrected.clear()
    _corrected[key] = corrected = list(processor._verify_tokens(texts, token_ids, before))
    return corrected


PATCHES = (
    (GPUModelRunner, "_sample", choosing_rows),
    (Sampler, "compute_logprobs", computing_rows),
    (Sampler, "gather_logprobs", gathering_rows),
    (LogprobsTensors, "tolists", listing),
    (LogprobsProcessor, "_update_sample_logprobs", noting),
)
