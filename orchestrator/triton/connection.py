"""Triton over gRPC: one stream, items out, outcomes back.

The raw stub is used because tritonclient's own asyncio client loses the request id when an item is refused.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from orchestrator.errors import StreamBrokenError
from orchestrator.jobs.provenance import Provenance
from orchestrator.triton.codec import INPUTS, Outcome, decode, string_tensor, text_in
from orchestrator.triton.provenance import read_provenance

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
CLOSE_TIMEOUT_S = 1.0
PREPROCESS = "preprocess"
PROVENANCE, INSTANCE = "provenance", "instance"
LOOK_S = 1.0
"""How often Triton is asked whether a model was loaded anew, and how long that may take."""
MIN_LOOK_S = 0.1
STEPS = (PREPROCESS, "gemma2", "postprocess")
FEW_INFERENCES = 1000
"""A model may answer so many between two looks: with fewer, a count doesn't tell that it began anew."""
# What Triton says of a model, an output or a call that it does not know.
_UNKNOWN = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
)


@dataclass(frozen=True, slots=True)
class Identity:
    """By what a server is known again: what its preprocess was named when it was loaded, and its counts."""

    instance: str | None
    counts: Mapping[str, int]  # inferences of each step of the ensemble since that was loaded

    def restarted_since(self, before: "Identity") -> bool:
        """Whether a model of this server was loaded anew; where nothing can be told, it was."""
        if self.instance is not None and before.instance is not None:
            if self.instance != before.instance:
                return True
        elif not (before.counts and self.counts):
            return True
        return any(self.counts.get(step, 0) < count for step, count in before.counts.items())


class Connection:
    """One ModelStreamInfer call on a channel of its own. When it is over, StreamBrokenError says so."""

    def __init__(self, url: str, known: dict[str, Provenance]) -> None:
        """`known` gets each provenance that is learned on this stream, by its id."""
        self._known = known
        self._sent_with: dict[str, str | None] = {}  # provenance ids of what is in flight
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self.identity = Identity(None, {})
        # The core takes one message at a time, and ends the call at a second one.
        self._writing = asyncio.Lock()
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
        if self._looking is not None and not self._sent_with:
            await self._look()  # nothing is in flight: the model may have been changed meanwhile
        self._sent_with[request.id] = self.provenance.id if self.provenance else None
        async with self._writing:
            with _translated():
                await self._call.write(request)

    async def receive(self) -> tuple[str, Outcome]:
        """The next outcome with the id of its request. It was made with what was known when that was sent."""
        with _translated():
            response = await self._call.read()
        if response is grpc.aio.EOF:
            raise StreamBrokenError("the server ended the stream")
        request_id = response.infer_response.id
        return request_id, decode(response, self._sent_with.pop(request_id, None))

    async def watch_provenance(self) -> None:
        """Learns what marks on this stream are made with, and from now on looks whether that changes.

        Somebody else's preprocess need not know.
        """
        await self.look()
        if self.provenance is not None:
            self._looking = asyncio.create_task(self._keep_looking(), name="triton-provenance")

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def _look(self) -> None:
        """Learns the provenance anew where a model may have been loaded anew. Says nothing where it can't.

        A model that is loaded begins to count its inferences at zero. Nobody is asked twice within a moment.
        """
        now = time.monotonic()
        if now - self._looked_at < MIN_LOOK_S:
            return
        self._looked_at = now
        try:
            async with asyncio.timeout(LOOK_S):
                counts = await self._count()
                before = self.identity.counts
                if any(counts.get(step, 0) < max(FEW_INFERENCES, before.get(step, 0)) for step in STEPS):
                    await self._learn()
                self.identity = Identity(self.identity.instance, counts)
        except (TimeoutError, StreamBrokenError):
            pass  # if the server is in trouble, the stream itself will tell

    async def _count(self) -> dict[str, int]:
        """How many inferences each of Triton's models has made since it was loaded."""
        try:
            answer = await self._stub.ModelStatistics(service_pb2.ModelStatisticsRequest())
        except grpc.aio.AioRpcError as error:
            if error.code() in _UNKNOWN:
                return {}
            raise StreamBrokenError(_status(error)) from None
        return {model.name: model.inference_count for model in answer.model_stats if model.name in STEPS}

    async def live(self, timeout_s: float) -> bool:
        """Whether the server answers at all, however busy its model is."""
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._stub.ServerLive(service_pb2.ServerLiveRequest())
        except (grpc.aio.AioRpcError, TimeoutError):
            return False
        return bool(answer.live)

    async def look(self) -> Identity:
        """By what the server is known just now. Raises StreamBrokenError."""
        self._looked_at = time.monotonic()
        await self._learn()
        self.identity = Identity(self.identity.instance, await self._count())
        return self.identity

    async def _learn(self) -> None:
        """Asks the preprocess what marks are made with. Somebody else's may not know."""
        for outputs in ((PROVENANCE, INSTANCE), (PROVENANCE,)):
            request = service_pb2.ModelInferRequest(model_name=PREPROCESS)
            for name in INPUTS:
                request.inputs.add(name=name, datatype="BYTES", shape=[1])
            request.raw_input_contents.extend([string_tensor("-")] * len(INPUTS))
            for name in outputs:
                request.outputs.add(name=name)
            try:
                server = await self._stub.ServerMetadata(service_pb2.ServerMetadataRequest())
                answer = await self._stub.ModelInfer(request)
            except grpc.aio.AioRpcError as error:
                if error.code() in _UNKNOWN:
                    continue
                raise StreamBrokenError(_status(error)) from None
            raw = zip(answer.outputs, answer.raw_output_contents, strict=False)
            said = {output.name: text_in(content) for output, content in raw}
            self.identity = Identity(said.get(INSTANCE) or None, self.identity.counts)
            told = read_provenance(said.get(PROVENANCE, ""), server.version)
            if told is not None:
                self.provenance = self._known[told.id] = told
            return

    async def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Ends the call politely: the server is told that no more will come, and may finish.

        A cancelled stream can crash servers before Triton 25.06: it is what is left when time runs out.
        """
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
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


def _status(error: BaseException) -> str:
    if not isinstance(error, grpc.aio.AioRpcError):
        return type(error).__name__
    return f"{error.code().name.lower()}: {' '.join(str(error.details()).split())[:200]}"
