"""Sampling parameters as clients send them: a JSON object whose values may be strings.

What vLLM gets from here has the types that its fields say, down to the elements, and values that its engine
can compute with: it checks some when a request is made and meets the others at a step, which ends the engine
for everybody.
"""

from __future__ import annotations

import json
import types
from typing import Annotated, Any, TypedDict, Union, get_args, get_origin, get_type_hints

import msgspec
import pydantic
from msgspec import Meta
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

LIMIT = "logprobs_tokens"
"""Within ``extra_args``: how many tokens get log-probabilities (``replacements/logprobs.py``)."""
TRUE_WORDS = {"true": True, "1": True, "false": False, "0": False}
MIN_SEED, MAX_SEED = -(2**63), 2**64 - 1
"""What torch's generators take. A request for several sequences gives each the next higher seed."""
NOT_FOR_CLIENTS = {"output_kind", "output_text_buffer_length", "skip_clone", "logprob_token_ids"}
"""Set by this backend or by vLLM itself, as are those that begin with ``_``; and ``logprob_token_ids``, with
which vLLM 0.32 takes the log-probabilities of all others from them that are computed at the same time."""

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Real = Annotated[float, Meta(ge=-1.7e308, le=1.7e308)]  # which leaves out NaN and the infinities
Texts = Annotated[list[str], Meta(max_length=1000)]
"""Each of them is looked for after every token."""
TYPES: dict[str, Any] = {
    "seed": int | None,
    "stop": str | Texts | None,
    "bad_words": Texts | None,
    "prompt_logprob_token_ids": list[list[Integer]] | None,
    "structured_outputs": str | None,
    # The range is the one that vLLM's own server keeps to.
    "logit_bias": dict[Integer, Annotated[float, Meta(ge=-100, le=100)]] | None,
}
"""Of the parameters that take less than their field's type, or another one."""


class ParameterError(ValueError):
    """The parameters can't be used. Its text is a sentence for the client."""


def scalar_type(hint: Any) -> type | None:
    """``int``, ``float``, ``bool`` or ``str`` where the field takes one (or None), else None."""
    if get_origin(hint) is Annotated:
        return scalar_type(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        return scalar_type(members[0]) if len(members) == 1 else None
    return hint if hint in (int, float, bool, str) else None


def bounded(hint: Any) -> Any:
    """The type ``hint`` whose numbers, wherever they are in it, are finite and fit into 64 bits."""
    if hint in (int, float):
        return Integer if hint is int else Real
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(bounded(member) for member in get_args(hint))]  # noqa: UP007  made of what is found
    return list[bounded(get_args(hint)[0])] if get_origin(hint) is list else hint  # type: ignore[misc]


HINTS = {
    name: hint
    for name, hint in get_type_hints(SamplingParams, include_extras=True).items()
    if name not in NOT_FOR_CLIENTS and not name.startswith("_")
}
SCALARS = {name: scalar_type(hint) for name, hint in HINTS.items()}
Given = TypedDict(  # type: ignore[misc]  # made of vLLM's fields
    "Given", {name: TYPES.get(name, bounded(hint)) for name, hint in HINTS.items()}, total=False
)


def coerce(name: str, value: Any) -> Any:
    kind = SCALARS.get(name)
    if value is None or kind is None or type(value) is kind:
        return value
    try:
        if kind is bool:
            return TRUE_WORDS[str(value).lower()]
        return kind(value)
    except (KeyError, OverflowError, TypeError, ValueError):
        raise ParameterError(f"`{name}` must be of type {kind.__name__}, not {value!r}.") from None


def check_extra_args(given: Any) -> None:
    """What the engine would stumble over at each step is refused before."""
    if given is None:
        return
    if not isinstance(given, dict):
        raise ParameterError("`extra_args` must be a JSON object.")
    limit = given.get(LIMIT, 1)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ParameterError(f"`{LIMIT}` in `extra_args` must be a whole number from 1, not {limit!r}.")


def check_seed(params: SamplingParams) -> None:
    """Also of the last of several sequences."""
    if params.seed is not None and not MIN_SEED <= params.seed <= MAX_SEED + 1 - params.n:
        raise ParameterError(
            f"`seed` must be from {MIN_SEED} to {MAX_SEED}, that of each of `n` sequences, one more than the "
            f"one before, included; not {params.seed} with `n` = {params.n}."
        )


def read_structure(text: str) -> StructuredOutputsParams:
    """The constraint in ``text``, a JSON object. Raises ParameterError."""
    try:
        return StructuredOutputsParams(**json.loads(text))
    except pydantic.ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        place = ".".join(str(part) for part in first["loc"])
        raise ParameterError(f"`structured_outputs` can't be used: {place}: {first['msg']}.") from None


def read_parameters(text: str, *, stream: bool) -> SamplingParams:
    """vLLM's sampling parameters from ``text``.

    ``structured_outputs`` is a JSON string inside the object, as in Triton's vLLM backend. With
    ``stream`` every step's new tokens come out, else only the finished text (which saves the work of
    every step). Raises ParameterError.
    """
    try:
        given = msgspec.json.decode(text or "{}")
    except (ValueError, RecursionError):
        raise ParameterError("The sampling parameters are not valid JSON.") from None
    if not isinstance(given, dict):
        raise ParameterError("The sampling parameters must be a JSON object.")
    if given.pop("lora_name", None) is not None:
        raise ParameterError("LoRA feature is not enabled.")
    unknown = sorted(given.keys() - SCALARS.keys())
    if unknown:
        raise ParameterError(f"Unknown sampling parameters: {', '.join(unknown)}.")
    values = {name: coerce(name, value) for name, value in given.items()}
    check_extra_args(values.get("extra_args"))
    try:
        values = msgspec.convert(values, Given, str_keys=True)
        if (structure := values.get("structured_outputs")) is not None:
            values["structured_outputs"] = read_structure(structure)
        # Another container within vLLM, of what is told in one way here.
        values.pop("flat_logprobs", None)
        values["output_kind"] = RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY
        # Made for this request alone: vLLM need not take a deep copy.
        values["skip_clone"] = True
        params = SamplingParams(**values)
    except ParameterError:
        raise
    except (TypeError, ValueError, RecursionError, VLLMValidationError) as error:
        raise ParameterError(f"The sampling parameters can't be used: {error}") from error
    check_seed(params)
    return params
