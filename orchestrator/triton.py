"""Triton over gRPC: one stream, items out, outcomes back. The only importer of tritonclient.

The raw stub is used because tritonclient's own asyncio client loses the request id when an item is refused.
"""

import asyncio
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from orchestrator.answers import Outcome, decode, text_in
from orchestrator.errors import StreamBrokenError
from orchestrator.jobs import Item
from orchestrator.provenance import Provenance, read_provenance

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
CLOSE_TIMEOUT_S = 1.0
INPUTS = ("curso", "consigna", "respuesta")
PREPROCESS = "preprocess"
PROVENANCE = "provenance"
# What Triton says of a model, an output or a call that it does not know.
_UNKNOWN = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
)


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
                # It would use the environment's http_proxy even for this machine.
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._call: Any = self._stub.ModelStreamInfer()
        self.provenance: Provenance | None = None

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
        return response.infer_response.id, decode(response, self.provenance.id if self.provenance else None)

    async def learn_provenance(self) -> None:
        """Asks what marks on this stream are made with. Somebody else's preprocess need not know."""
        request = service_pb2.ModelInferRequest(model_name=PREPROCESS)
        for name in INPUTS:
            request.inputs.add(name=name, datatype="BYTES", shape=[1])
        request.raw_input_contents.extend([_bytes("-")] * len(INPUTS))
        request.outputs.add(name=PROVENANCE)
        try:
            server = await self._stub.ServerMetadata(service_pb2.ServerMetadataRequest())
            answer = await self._stub.ModelInfer(request)
        except grpc.aio.AioRpcError as error:
            if error.code() in _UNKNOWN:
                return
            raise StreamBrokenError(_status(error)) from None
        self.provenance = read_provenance(text_in(answer.raw_output_contents[0]), server.version)

    async def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
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


def _bytes(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return struct.pack("<I", len(data)) + data


def _status(error: BaseException) -> str:
    if not isinstance(error, grpc.aio.AioRpcError):
        return type(error).__name__
    return f"{error.code().name.lower()}: {' '.join(str(error.details()).split())[:200]}"
