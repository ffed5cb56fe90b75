"""A small gRPC client of the vLLM backend's models, for tests."""

from __future__ import annotations

import json
import queue
from dataclasses import dataclass
from typing import Any

import numpy as np
from tritonclient import grpc

from testkit.direct import CHANNEL

TIMEOUT_S = 60.0


def tensor(name: str, value: str | bool) -> grpc.InferInput:
    """One element as an input: text as BYTES, a truth value as BOOL."""
    if isinstance(value, bool):
        data, datatype = np.array([value]), "BOOL"
    else:
        data, datatype = np.array([value.encode("utf-8")], dtype=np.object_), "BYTES"
    made = grpc.InferInput(name, [1], datatype)
    made.set_data_from_numpy(data)
    return made


@dataclass(frozen=True)
class Response:
    """One response: its outputs by name, or the server's error."""

    outputs: dict[str, Any]
    final: bool
    error: str = ""

    @property
    def text(self) -> str:
        return str(self.outputs["text_output"][0].decode("utf-8"))


class Stream:
    """One bidirectional stream. Use as a context manager; responses arrive in ``receive``."""

    def __init__(self, url: str, model: str = "gemma2") -> None:
        self.client = grpc.InferenceServerClient(url, channel_args=CHANNEL)
        self._model = model
        self._responses: queue.Queue[Response] = queue.Queue()

    def __enter__(self) -> Stream:
        self.client.start_stream(self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_stream()
        self.client.close()

    def _receive(self, result: Any, error: Any) -> None:
        if error is not None:
            self._responses.put(Response({}, final=True, error=error.message()))
            return
        answer = result.get_response()
        final = answer.parameters["triton_final_response"].bool_param
        outputs = {output.name: result.as_numpy(output.name) for output in answer.outputs}
        self._responses.put(Response(outputs, final))

    def send(
        self,
        text: str,
        parameters: dict[str, Any] | None = None,
        *,
        as_tensor: bool = True,
        request_id: str = "",
        **inputs: bool,
    ) -> None:
        """Send one prompt, its sampling parameters as a tensor or as request parameters."""
        tensors = [tensor("text_input", text), *(tensor(name, value) for name, value in inputs.items())]
        given = parameters or {}
        if as_tensor:
            tensors.append(tensor("sampling_parameters", json.dumps(given)))
        self.client.async_stream_infer(
            self._model, tensors, request_id=request_id, parameters=None if as_tensor else given
        )

    def receive(self) -> Response:
        """The next response. Raises queue.Empty when none comes in time."""
        return self._responses.get(timeout=TIMEOUT_S)

    def answer(self) -> list[Response]:
        """All responses up to the final one."""
        responses = [self.receive()]
        while not responses[-1].final:
            responses.append(self.receive())
        return responses

    @property
    def silent(self) -> bool:
        """Whether nothing more has come."""
        return self._responses.empty()


def ask(url: str, text: str, parameters: dict[str, Any] | None = None, **options: Any) -> list[Response]:
    """Send one prompt on a stream of its own; all its responses."""
    with Stream(url) as stream:
        stream.send(text, parameters, **options)
        return stream.answer()
