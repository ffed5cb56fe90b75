"""Triton adapter of the preprocess step: three texts in, a prompt and how to sample out.

Shapes and types stand in ``../config.pbtxt``; the prompt itself is built in ``prompt.py``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from prompt import build_prompt
from sampling import sampling_parameters

TRUE = np.array([True])


def text(request: Any, name: str) -> str:
    """One STRING [1] input as text. Bytes that aren't UTF-8 become U+FFFD rather than an error."""
    value: bytes = pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0]
    return value.decode("utf-8", errors="replace")


def strings(name: str, value: str) -> Any:
    return pb_utils.Tensor(name, np.array([value.encode()], dtype=np.object_))


class TritonPythonModel:
    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._prepare(request) for request in requests]

    def _prepare(self, request: Any) -> Any:
        curso, consigna, respuesta = (text(request, n) for n in ("curso", "consigna", "respuesta"))
        if not respuesta.strip():
            message = "[blank_answer] The answer is blank: there is nothing to mark."
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
            )
        parameters = json.loads(request.parameters() or "{}")
        sampling = sampling_parameters(
            curso, consigna, respuesta, attempt=int(parameters.get("attempt", 1))
        )
        return pb_utils.InferenceResponse(
            output_tensors=[
                strings("text_input", build_prompt(curso, consigna, respuesta)),
                strings("sampling_parameters", json.dumps(sampling)),
                pb_utils.Tensor("exclude_input_in_output", TRUE),
                pb_utils.Tensor("return_details", TRUE),
            ]
        )
