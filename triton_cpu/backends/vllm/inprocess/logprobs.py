"""Log-probabilities as Triton's vLLM backend writes them: JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

_encoder = msgspec.json.Encoder()


class Entry(msgspec.Struct, gc=False):  # type: ignore[misc,call-arg]  # it comes with vLLM: see pyproject.toml
    """One alternative."""

    logprob: float
    rank: int
    decoded_token: str | None


class Position(NamedTuple):
    """One token's alternatives: the one that was taken first, then the likeliest in order.

    What ``replacements/logprobs.py`` keeps in place of vLLM's dictionary of objects.
    """

    token_ids: list[int]
    logprobs: list[float]
    rank: int
    decoded: list[str] | list[None]


def as_json(positions: Iterable[Position | Mapping[int, Any]] | None) -> bytes:
    """``null`` without any. Each position is a ``Position``, or vLLM's ``Logprob`` objects by token."""
    if positions is None:
        return b"null"
    encoded: bytes = _encoder.encode([_entries(position) for position in positions])
    # What a grammar forbids has minus infinity, which is null to msgspec and has a word in Python's JSON.
    # Within a text the quotation marks would be escaped.
    return encoded.replace(b'"logprob":null', b'"logprob":-Infinity')


def _entries(position: Position | Mapping[int, Any]) -> dict[int, Entry]:
    """As in vLLM, a token that is taken and among the likeliest is there once, with its place among those."""
    if not isinstance(position, Position):
        return {token: Entry(one.logprob, one.rank, one.decoded_token) for token, one in position.items()}
    token_ids, logprobs, rank, decoded = position
    ranks = (rank, *range(1, len(token_ids)))
    return {
        token: Entry(logprob, place, text)
        for token, logprob, place, text in zip(token_ids, logprobs, ranks, decoded, strict=True)
    }
