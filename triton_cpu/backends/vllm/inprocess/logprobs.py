"""Log-probabilities at a fraction of vLLM's cost on the CPU, with the same content.

vLLM decodes every alternative at every step, makes an object of each, and counts through the whole vocabulary
for a rank that the alternatives themselves tell. Together that took a third of the engine's time here, for
one mark in thirty tokens. There is no setting for it, so three functions are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from vllm.v1.engine import logprobs
from vllm.v1.outputs import LogprobsTensors
from vllm.v1.sample.sampler import Sampler

Convert = Callable[[Any, Sequence[int]], list[str]]
Gather = Callable[[torch.Tensor, int, torch.Tensor], LogprobsTensors]
UNFINISHED = "\ufffd"
"""How a token ends that is only part of a character: what it means depends on those before it."""
CONTEXT = 4
"""As many tokens, vLLM says, as one character can have begun in."""
LEAST = -1e30
MAX_TEXTS = 1 << 18


@dataclass(frozen=True, slots=True)
class Position:
    """One token's alternatives: the one that was taken first, then the likeliest in order."""

    token_ids: list[int]
    logprobs: list[float]
    rank: int
    decoded: list[str]


def remembering(convert: Convert) -> Convert:
    """``convert`` for one tokenizer, with a memory as large as its vocabulary at most."""
    known: dict[int, str] = {}

    def convert_once(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
        for token in token_ids:
            if token not in known:
                (known[token],) = convert(tokenizer, [token])
        return [known[token] for token in token_ids]

    return convert_once


def gathering(gather: Gather) -> Gather:
    """``Sampler.gather_logprobs`` with one selection, and a count through the vocabulary only where needed.

    Shapes: rows [B, V], token_ids [B].
    """

    def gather_once(rows: torch.Tensor, num_logprobs: int, token_ids: torch.Tensor) -> LogprobsTensors:
        if num_logprobs < 1:
            return gather(rows, num_logprobs, token_ids)
        largest, places = rows.topk(num_logprobs, dim=-1)
        taken_ids = token_ids.unsqueeze(-1)
        taken = rows.gather(-1, taken_ids)
        ranks = (largest >= taken).sum(dim=-1)
        # Only of these could there be more, beyond the largest.
        beyond = (taken[:, 0] <= largest[:, -1]).nonzero().squeeze(dim=1)
        if beyond.numel():
            ranks[beyond] = (rows[beyond] >= taken[beyond]).sum(dim=-1)
        indices = torch.cat((taken_ids, places), dim=1).to(torch.int32)
        return LogprobsTensors(indices, torch.cat((taken, largest), dim=1), ranks)

    return gather_once


def take_note(processor: Any, lists: Any) -> None:
    """Keep a step's log-probabilities as they come: ``LogprobsProcessor._update_sample_logprobs``."""
    wanted = None if processor.num_logprobs == -1 else processor.num_logprobs + 1
    token_ids_rows, logprobs_rows, ranks, _ = lists
    for rank, row, ids in zip(ranks.tolist(), logprobs_rows.tolist(), token_ids_rows.tolist(), strict=True):
        kept = ids[:wanted]
        decoded = logprobs.convert_ids_list_to_tokens(processor.tokenizer, kept)
        if any(text.endswith(UNFINISHED) for text in decoded):
            before = [position.token_ids[0] for position in processor.logprobs[-CONTEXT:]]
            decoded = processor._verify_tokens(decoded, kept, before)
        processor.cumulative_logprob += row[0]
        processor.logprobs.append(Position(kept, row[:wanted], rank, decoded))


def as_json(positions: Iterable[Position] | None) -> bytes:
    """The tokens' log-probabilities as Triton's vLLM backend writes them: ``null`` without any."""
    if positions is None:
        return b"null"
    return f"[{', '.join(map(_position_json, positions))}]".encode()


def _position_json(position: Position) -> str:
    ranks = [position.rank, *range(1, len(position.token_ids))]
    entries = {}
    # As in vLLM, a token that is taken and among the likeliest is there once, with its place among those.
    for token, logprob, rank, text in zip(
        position.token_ids, position.logprobs, ranks, position.decoded, strict=True
    ):
        content = f'"logprob": {_number(logprob)}, "rank": {rank}, "decoded_token": {_text(text)}'
        entries[token] = f'"{token}": {{{content}}}'
    return f"{{{', '.join(entries.values())}}}"


def _number(value: float) -> str:
    return repr(value) if value > LEAST else "-Infinity"


@lru_cache(maxsize=MAX_TEXTS)
def _text(text: str) -> str:
    return json.dumps(text)


def spare_the_engine() -> None:
    """Have this process's engine, of which there is one, work like this."""
    logprobs.convert_ids_list_to_tokens = remembering(logprobs.convert_ids_list_to_tokens)
    logprobs.LogprobsProcessor._update_sample_logprobs = take_note
    Sampler.gather_logprobs = staticmethod(gathering(Sampler.gather_logprobs))
