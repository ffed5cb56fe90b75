"""Triton over gRPC: one stream, items out, outcomes back. The only importer of tritonclient.

The raw stub is used because tritonclient's own asyncio client loses the request id when an item is refused.
"""

import asyncio
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import orjson
from tritonclient.grpc import service_pb2, service_pb2_grpc

from orchestrator.errors import StreamBrokenError
from orchestrator.jobs import Item

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
INPUTS = ("curso", "consigna", "respuesta")
# "[prompt_too_long] The text has ..."; Triton puts words of its own before it. Codes have two words at least,
# which tells them from a "list[int]" in somebody's message.
_REFUSAL = re.compile(r"(?:^|\s)\[([a-z]+(?:_[a-z0-9]+)+)\]\s+(.+)", re.DOTALL)
_TOO_LONG = "longer than the maximum model length"


@dataclass(frozen=True, slots=True)
class Answer:
    """The model answered. With an error the answer can't be used; another attempt may do better."""

    nota: int | None
    feedback: str
    error_code: str = ""
    error: str = ""
    flags: tuple[str, ...] = ()
    confidence: float | None = None


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
        request = service_pb2.ModelInferRequest()
        request.CopyFrom(self._template)
        request.id = request_id
        request.parameters["attempt"].int64_param = attempt
        request.raw_input_contents.extend([_bytes(item.curso), _bytes(item.consigna), _bytes(item.respuesta)])
        return request


class Stream:
    """One ModelStreamInfer call on a channel of its own. When it is over, StreamBrokenError says so."""

    def __init__(self, url: str) -> None:
        self._writing = (
            asyncio.Lock()
        )  # the core takes one message at a time, and ends the call at a second one
        self._channel = grpc.aio.insecure_channel(
            url,
            options=[
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                # A subchannel shared with an earlier stream would wait out that one's reconnect backoff.
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        self._call: Any = service_pb2_grpc.GRPCInferenceServiceStub(self._channel).ModelStreamInfer()

    async def send(self, request: Any) -> None:
        """Hands one message to the network. Waits while the server takes none: the caller has a deadline."""
        async with self._writing:
            with _translated():
                await self._call.write(request)

    async def receive(self) -> tuple[str, Outcome]:
        """The next outcome with the id of its request."""
        with _translated():
            response = await self._call.read()
        if response is grpc.aio.EOF:
            raise StreamBrokenError("the server ended the stream")
        return response.infer_response.id, decode(response)

    async def close(self, timeout_s: float) -> None:
        """Ends the call politely: the server is told that no more will come, and may finish.

        A cancelled stream can crash servers before Triton 25.06: it is what is left when time runs out.
        """
        try:
            async with asyncio.timeout(timeout_s):
                with _translated():
                    await self._call.done_writing()
                    while await self._call.read() is not grpc.aio.EOF:
                        pass
        except (StreamBrokenError, TimeoutError):
            pass  # it is over in any case
        finally:
            await self._channel.close()


@contextmanager
def _translated() -> Iterator[None]:
    """grpc's ways to say that a call is over, as ours."""
    try:
        yield
    except (grpc.RpcError, asyncio.InvalidStateError) as error:
        raise StreamBrokenError(_status(error)) from None
    except asyncio.CancelledError:
        # A call that was cancelled before raises this in whoever uses it next, though nobody cancelled them.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise StreamBrokenError("the call was cancelled") from None


def decode(response: Any) -> Outcome:
    """What one response on the stream says."""
    if response.error_message:
        return _failed(response.error_message)
    infer = response.infer_response
    raw = {
        output.name: content
        for output, content in zip(infer.outputs, infer.raw_output_contents, strict=False)
    }
    try:
        nota = struct.unpack_from("<i", raw["nota"])[0]
        confidence = struct.unpack_from("<f", raw["confidence"])[0] if "confidence" in raw else -1.0
        answer = Answer(
            nota=nota if 0 <= nota <= 5 else None,
            feedback=_text(raw["feedback"]),
            error_code=_text(raw.get("error_code", b"")),
            error=_text(raw["error"]),
            flags=_flags(_text(raw.get("flags", b""))),
            confidence=round(confidence, 4) if 0.0 <= confidence <= 1.0 else None,
        )
    except (KeyError, struct.error) as error:
        return Failure(f"the answer lacks a tensor: {type(error).__name__}")
    if answer.nota is None and not (answer.error or answer.error_code):
        return Answer(None, answer.feedback, "no_mark", "the model gave no mark", answer.flags)
    return answer


def _failed(message: str) -> Outcome:
    if match := _REFUSAL.search(message):
        return Refusal(match.group(1), " ".join(match.group(2).split())[:300])
    if _TOO_LONG in message:
        return Refusal("prompt_too_long", "The text is too long for the model.")
    return Failure(message)


def _bytes(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return struct.pack("<I", len(data)) + data


def _text(raw: bytes) -> str:
    if len(raw) < 4:
        return ""
    (size,) = struct.unpack_from("<I", raw)
    return raw[4 : 4 + size].decode("utf-8", "replace")


def _flags(text: str) -> tuple[str, ...]:
    try:
        flags = orjson.loads(text or "[]")
    except orjson.JSONDecodeError:
        return ()
    return tuple(str(flag) for flag in flags) if isinstance(flags, list) else ()


def _status(error: BaseException) -> str:
    if not isinstance(error, grpc.aio.AioRpcError):
        return type(error).__name__
    return f"{error.code().name.lower()}: {' '.join(str(error.details()).split())[:200]}"
