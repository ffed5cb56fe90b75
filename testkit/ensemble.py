"""A gRPC client of the ensemble, for tests: items out on one stream, answers back by their ids."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from tritonclient import grpc

from testkit.direct import CHANNEL
from tests.vllm_backend.client import tensor

FIELDS = ("curso", "consigna", "respuesta")
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Answer:
    """One response: its outputs by name, the first element of each; or the server's error."""

    id: str
    outputs: Mapping[str, Any]
    error: str = ""

    def __getitem__(self, name: str) -> Any:
        value = self.outputs[name][0]
        return value.decode("utf-8") if isinstance(value, bytes) else value

    @property
    def flags(self) -> list[str]:
        flags: list[str] = json.loads(self["flags"])
        return flags


class Ensemble:
    """One stream to ``evaluate``."""

    def __init__(self, url: str) -> None:
        self._client = grpc.InferenceServerClient(url, channel_args=CHANNEL)
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._ids = count()

    def send(
        self,
        respuesta: str,
        *,
        curso: str = "3r ESO",
        consigna: str = "Explica-ho",
        request_id: str | None = None,
        **more: Any,
    ) -> None:
        """Send one item; ``more`` are request parameters. Without ``request_id`` it gets one of its own."""
        texts = zip(FIELDS, (curso, consigna, respuesta), strict=True)
        tensors = [tensor(name, text.encode("utf-8", "replace").decode()) for name, text in texts]
        request_id = f"own-{next(self._ids)}" if request_id is None else request_id
        self._client.async_stream_infer("evaluate", tensors, request_id=request_id, parameters=more or None)

    def receive(self) -> Answer:
        """The next answer. Raises queue.Empty when none comes in time."""
        return self._answers.get(timeout=TIMEOUT_S)

    def ask(self, respuesta: str, **more: Any) -> Answer:
        """Send one item alone and wait for its answer."""
        self.send(respuesta, **more)
        return self.receive()

    @property
    def silent(self) -> bool:
        """Whether nothing more has come."""
        return self._answers.empty()

    def _receive(self, result: Any, error: Any) -> None:
        if error is not None:
            self._answers.put(Answer("", {}, error.message()))
            return
        response = result.get_response()
        assert response.parameters["triton_final_response"].bool_param
        self._answers.put(
            Answer(response.id, {output.name: result.as_numpy(output.name) for output in response.outputs})
        )

    @classmethod
    @contextmanager
    def at(cls, url: str) -> Iterator[Ensemble]:
        """An open stream to the server at ``url``."""
        ensemble = cls(url)
        ensemble._client.start_stream(ensemble._receive)
        try:
            yield ensemble
        finally:
            ensemble._client.stop_stream()
            ensemble._client.close()


def provenance(url: str) -> dict[str, Any]:
    """Where marks come from, as the preprocess model tells it."""
    with grpc.InferenceServerClient(url, channel_args=CHANNEL) as client:
        answer = client.infer(
            "preprocess",
            [tensor(name, "-") for name in FIELDS],
            outputs=[grpc.InferRequestedOutput("provenance")],
        )
    told: dict[str, Any] = json.loads(answer.as_numpy("provenance")[0])
    return told
