"""What is made of log-probabilities, at a fraction of vLLM's cost on the CPU, with the same content.

vLLM decodes every alternative at every step and makes an object of each. Here they stay numbers until an
answer is finished, and each token is decoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from vllm.tokenizers.detokenizer_utils import convert_ids_list_to_tokens
from vllm.v1.engine.logprobs import LogprobsProcessor
from vllm.v1.outputs import LogprobsLists, LogprobsTensors

ToLists = Callable[..., LogprobsLists]
UNFINISHED = "\ufffd"
"""How a token ends that is only part of a character: what it means depends on those before it."""
CONTEXT = 4
"""As many tokens, vLLM says, as one character can have begun in."""

_texts: dict[int, str] = {}
"""What each finished token that was met reads; this process has one tokenizer."""
_finished: set[int] = set()
_corrected: dict[tuple[tuple[int, ...], ...], list[str]] = {}
"""What unfinished ones read after which others: a constraint brings the same ones again and again."""
MAX_CORRECTED = 4096
_encoder = msgspec.json.Encoder()


class Position(NamedTuple):
    """One token's alternatives: the one that was taken first, then the likeliest in order.

    ``decoded`` is None where each of them is a text by itself.
    """

    token_ids: list[int]
    logprobs: list[float]
    rank: int
    decoded: list[str] | list[None] | None


class Entry(msgspec.Struct, gc=False):  # type: ignore[misc,call-arg]  # it comes with vLLM: see pyproject.toml
    """One alternative, as Triton's vLLM backend writes it."""

    logprob: float
    rank: int
    decoded_token: str | None


def listing(tolists: ToLists) -> ToLists:
    """``LogprobsTensors.tolists`` with Python's lists, made once for all requests of a step, not for each."""

    def as_lists(tensors: LogprobsTensors, cu_num_generated_tokens: list[int] | None = None) -> LogprobsLists:
        arrays = tolists(tensors, cu_num_generated_tokens)
        ranks = arrays.sampled_token_ranks
        chosen = ranks.nonzero()[0]
        if len(chosen) == len(ranks):
            ids, rows = arrays.logprob_token_ids.tolist(), arrays.logprobs.tolist()
        else:
            ids, rows = [()] * len(ranks), [()] * len(ranks)
            some_ids, some_rows = arrays.logprob_token_ids[chosen].tolist(), arrays.logprobs[chosen].tolist()
            for place, row_ids, row in zip(chosen.tolist(), some_ids, some_rows, strict=True):
                ids[place], rows[place] = row_ids, row
        return arrays._replace(logprob_token_ids=ids, logprobs=rows, sampled_token_ranks=ranks.tolist())

    return as_lists


def take_note(processor: Any, lists: LogprobsLists) -> None:
    """Keep a step's log-probabilities as they come: ``LogprobsProcessor._update_sample_logprobs``.

    A token without any, as ``wanted.py`` leaves some, has rank 0.
    """
    wanted = None if processor.num_logprobs == -1 else processor.num_logprobs + 1
    for ids, row, rank in zip(
        lists.logprob_token_ids, lists.logprobs, lists.sampled_token_ranks, strict=True
    ):
        if not rank:
            continue
        kept = ids[:wanted]
        decoded: list[str] | list[None] | None = None
        if processor.tokenizer is None:
            decoded = [None] * len(kept)
        elif not _finished.issuperset(kept):
            decoded = _decode(processor, kept)
        processor.cumulative_logprob += row[0]
        processor.logprobs.append(Position(kept, row[:wanted], rank, decoded))


def _decode(processor: Any, token_ids: Sequence[int]) -> list[str] | None:
    """What some new tokens read; None where that is known from now on."""
    before = [position.token_ids[0] for position in processor.logprobs[-CONTEXT:]]
    key = tuple(token_ids), tuple(before)
    if key in _corrected:
        return _corrected[key]
    texts = convert_ids_list_to_tokens(processor.tokenizer, token_ids)
    for token, text in zip(token_ids, texts, strict=True):
        if not text.endswith(UNFINISHED):
            _texts[token] = text
            _finished.add(token)
    if _finished.issuperset(token_ids):
        return None
    if len(_corrected) >= MAX_CORRECTED:
        _corrected.clear()
    _corrected[key] = corrected = list(processor._verify_tokens(texts, token_ids, before))
    return corrected


def as_json(positions: Iterable[Position] | None) -> bytes:
    """The tokens' log-probabilities as Triton's vLLM backend writes them: ``null`` without any."""
    if positions is None:
        return b"null"
    encoded: bytes = _encoder.encode([_entries(position) for position in positions])
    # What a grammar forbids has minus infinity, which is null to msgspec and has a word in Python's JSON.
    # Within a text the quotation marks would be escaped.
    return encoded.replace(b'"logprob":null', b'"logprob":-Infinity')


def _entries(position: Position) -> dict[int, Entry]:
    """As in vLLM, a token that is taken and among the likeliest is there once, with its place among those."""
    token_ids, logprobs, rank, decoded = position
    texts: Sequence[str | None] = decoded or [_texts[token] for token in token_ids]
    ranks = (rank, *range(1, len(token_ids)))
    return {
        token: Entry(logprob, place, text)
        for token, logprob, place, text in zip(token_ids, logprobs, ranks, texts, strict=True)
    }


def keep_as_numbers() -> None:
    """Have this process's engine, of which there is one, work like this."""
    LogprobsTensors.tolists = listing(LogprobsTensors.tolists)
    LogprobsProcessor._update_sample_logprobs = take_note
