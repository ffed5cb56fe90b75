"""What is sent to Triton's ensemble, and what its responses say: an answer, a refusal or a failure."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from tritonclient.grpc import service_pb2

from orchestrator.jobs import NO_EVIDENCE, Evidence, Item

INPUTS = ("curso", "consigna", "respuesta")

# "[prompt_too_long] The text has ..."; Triton puts words of its own before it. Codes have two words at least,
# which tells them from a "list[int]" in somebody's message.
_REFUSAL = re.compile(r"(?:^|\s)\[([a-z]+(?:_[a-z0-9]+)+)\]\s+(.+)", re.DOTALL)
_TOO_LONG = "longer than the maximum model length"
_MARK = struct.Struct("<i")
_ONE = struct.Struct("<f")
_SIX = struct.Struct("<6f")
# More would be FP32's noise; with fewer the six would no longer sum to 1.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """The model answered. With an error the answer can't be used; another attempt may do better."""

    nota: int | None
    feedback: str
    error_code: str = ""
    error: str = ""
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class Refusal:
    """The item can't be graded, however often it is sent."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Something broke on the way; it may or may not be this item's doing."""

    message: str


Outcome = Answer | Refusal | Failure


class Encoder:
    """Builds requests from a template: only the texts, the id and the attempt differ."""

    def __init__(self, model: str) -> None:
        self._template = service_pb2.ModelInferRequest(model_name=model)
        for name in INPUTS:
            self._template.inputs.add(name=name, datatype="BYTES", shape=[1])

    def encode(self, request_id: str, item: Item, attempt: int) -> Any:
        """A ModelInferRequest. The sampling's seed follows from `attempt`, which counts from 1."""
        request = service_pb2.ModelInferRequest()
        request.CopyFrom(self._template)
        request.id = request_id
        request.parameters["attempt"].int64_param = attempt
        texts = (item.curso, item.consigna, item.respuesta)
        request.raw_input_contents.extend(string_tensor(one) for one in texts)
        return request


def string_tensor(text: str) -> bytes:
    """A STRING tensor of one element, as Triton wants it."""
    data = text.encode("utf-8", "replace")
    return struct.pack("<I", len(data)) + data


def decode(response: Any, provenance_id: str | None = None) -> Outcome:
    """What one response on the stream says. `provenance_id`: of the models behind that stream."""
    if response.error_message:
        return _failed(response.error_message)
    infer = response.infer_response
    raw = {
        output.name: content
        for output, content in zip(infer.outputs, infer.raw_output_contents, strict=False)
    }
    try:
        (nota,) = _MARK.unpack_from(raw["nota"])
        answer = Answer(
            nota=nota if 0 <= nota <= 5 else None,
            feedback=text_in(raw["feedback"]),
            error_code=text_in(raw.get("error_code", b"")),
            error=text_in(raw["error"]),
            evidence=_evidence(raw, provenance_id),
        )
    except (KeyError, struct.error) as error:
        return Failure(f"the answer lacks a tensor: {type(error).__name__}")
    if answer.nota is None and not (answer.error or answer.error_code):
        return Answer(None, answer.feedback, "no_mark", "The model gave no mark.", answer.evidence)
    return answer


def text_in(raw: bytes) -> str:
    """The first element of a STRING tensor; empty where there is none."""
    if len(raw) < 4:
        return ""
    size = int.from_bytes(raw[:4], "little")
    return raw[4 : 4 + size].decode("utf-8", "replace")


def _evidence(raw: Mapping[str, bytes], provenance_id: str | None) -> Evidence:
    probabilities: tuple[float, ...] | None = None
    if "mark_probabilities" in raw and min(six := _SIX.unpack_from(raw["mark_probabilities"])) >= 0.0:
        probabilities = tuple(round(one, _DIGITS) for one in six)
    return Evidence(
        flags=_flags(text_in(raw.get("flags", b""))),
        confidence=_number(raw, "confidence", 1.0),
        expected_mark=_number(raw, "expected_mark", 5.0),
        mark_probabilities=probabilities,
        share_kept=_number(raw, "share_kept", 1.0),
        provenance_id=provenance_id,
    )


def _number(raw: Mapping[str, bytes], name: str, most: float) -> float | None:
    if name not in raw:
        return None
    (value,) = _ONE.unpack_from(raw[name])
    return round(value, _DIGITS) if 0.0 <= value <= most else None


def _flags(text: str) -> tuple[str, ...]:
    try:
        flags = orjson.loads(text or "[]")
    except orjson.JSONDecodeError:
        return ()
    return tuple(str(flag) for flag in flags) if isinstance(flags, list) else ()


def _failed(message: str) -> Outcome:
    if match := _REFUSAL.search(message):
        return Refusal(match.group(1), " ".join(match.group(2).split())[:300])
    if _TOO_LONG in message:
        return Refusal("prompt_too_long", "The text is too long for the model.")
    return Failure(message)
