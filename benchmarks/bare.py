"""The bare gRPC client: one stream, a fixed number of items in flight, nothing else.

What the service is measured against. It does the least that a client can: it builds requests from a
template, sends one whenever an answer frees a place, and sees of each answer only that there is a mark.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

INPUTS = ("curso", "consigna", "respuesta")


class BareClient:
    """One ModelStreamInfer call for each round."""

    def __init__(self, url: str, window: int, *, lockstep: bool = False) -> None:
        """With ``lockstep`` the next ``window`` items are sent only when all of the last are answered."""
        self._url, self._window, self._lockstep = url, window, lockstep
        self._template = service_pb2.ModelInferRequest(model_name="evaluate")
        for name in INPUTS:
            self._template.inputs.add(name=name, datatype="BYTES", shape=[1])

    async def grade(self, items: Sequence[Mapping[str, str]]) -> None:
        """Return once every item was answered with a mark. Raises RuntimeError where one was not."""
        for mark, _, _ in await self.ask(items):
            if not 0 <= mark <= 5:
                raise RuntimeError("an answer has no mark")

    async def ask(self, items: Sequence[Mapping[str, str]]) -> list[tuple[int, float, float]]:
        """Of each item its mark (-1: none), and when it was sent and answered (``time.perf_counter()``).

        Raises RuntimeError where one was not answered.
        """
        places = asyncio.Semaphore(self._window)
        sent: list[float] = []
        answers: list[tuple[int, float, float]] = []
        async with grpc.aio.insecure_channel(self._url, options=[("grpc.enable_http_proxy", 0)]) as channel:
            call: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer()
            sender = asyncio.create_task(self._send(call, items, places, sent))
            for number in range(1, len(items) + 1):
                response = await call.read()
                if response is grpc.aio.EOF or response.error_message:
                    raise RuntimeError(
                        f"not graded: {getattr(response, 'error_message', 'the stream ended')}"
                    )
                infer = response.infer_response
                answers.append((_mark(infer), sent[int(infer.id)], time.perf_counter()))
                if not self._lockstep:
                    places.release()
                elif number % self._window == 0:
                    for _ in range(self._window):
                        places.release()
            await sender
            await call.done_writing()
        return answers

    async def _send(
        self, call: Any, items: Sequence[Mapping[str, str]], places: asyncio.Semaphore, sent: list[float]
    ) -> None:
        for number, item in enumerate(items):
            await places.acquire()
            request = service_pb2.ModelInferRequest()
            request.CopyFrom(self._template)
            request.id = str(number)
            request.raw_input_contents.extend(_bytes(item[name]) for name in INPUTS)
            sent.append(time.perf_counter())
            await call.write(request)


def _bytes(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def _mark(response: Any) -> int:
    for output, content in zip(response.outputs, response.raw_output_contents, strict=True):
        if output.name == "nota":
            return int(struct.unpack_from("<i", content)[0])
    return -1
