"""Sampling parameters as clients send them: a JSON object whose values may be strings."""

from __future__ import annotations

import json
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from vllm import SamplingParams
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

from inprocess.wanted import LIMIT

TRUE_WORDS = {"true": True, "1": True, "false": False, "0": False}


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


HINTS = get_type_hints(SamplingParams, include_extras=True)
SCALARS = {name: scalar_type(hint) for name, hint in HINTS.items()}


def coerce(name: str, value: Any) -> Any:
    kind = SCALARS.get(name)
    if value is None or kind is None or isinstance(value, kind):
        return value
    try:
        if kind is bool:
            return TRUE_WORDS[str(value).lower()]
        return kind(value)
    except (KeyError, TypeError, ValueError):
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


def read_parameters(text: str, *, stream: bool) -> SamplingParams:
    """vLLM's sampling parameters from ``text``.

    ``structured_outputs`` is a JSON string inside the object, as in Triton's vLLM backend. With
    ``stream`` every step's new tokens come out, else only the finished text (which saves the work of
    every step). Raises ParameterError.
    """
    try:
        given = json.loads(text or "{}")
    except ValueError:
        raise ParameterError("The sampling parameters are not valid JSON.") from None
    if not isinstance(given, dict):
        raise ParameterError("The sampling parameters must be a JSON object.")
    if given.pop("lora_name", None) is not None:
        raise ParameterError("LoRA feature is not enabled.")
    unknown = sorted(set(given) - set(SCALARS))
    if unknown:
        raise ParameterError(f"Unknown sampling parameters: {', '.join(unknown)}.")
    values = {name: coerce(name, value) for name, value in given.items()}
    check_extra_args(values.get("extra_args"))
    try:
        if (structure := values.get("structured_outputs")) is not None:
            values["structured_outputs"] = StructuredOutputsParams(**json.loads(structure))
        values["output_kind"] = RequestOutputKind.DELTA if stream else RequestOutputKind.FINAL_ONLY
        # Made for this request alone: vLLM need not take a deep copy.
        values["skip_clone"] = True
        return SamplingParams(**values)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"The sampling parameters can't be used: {error}") from error
