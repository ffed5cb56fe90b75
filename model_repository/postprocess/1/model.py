"""Triton adapter of the postprocess step: generated text in, mark and feedback (or why not) out.

Shapes and types stand in ``../config.pbtxt``; reading the mark happens in ``grade.py``. A text that
can't be read is an answer with ``error`` set, never a Triton error: the caller decides what to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from grade import read_grade


def first(request: Any, name: str) -> str:
    """The first element of a STRING [-1] input; empty when there is none."""
    values = pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)
    return values[0].decode("utf-8", errors="replace") if len(values) else ""


def strings(name: str, value: str) -> Any:
    return pb_utils.Tensor(name, np.array([value.encode("utf-8", errors="replace")], dtype=np.object_))


class TritonPythonModel:
    def execute(self, requests: list[Any]) -> list[Any]:
        responses = []
        for request in requests:
            grade = read_grade(first(request, "text_output"), first(request, "finish_reason"))
            responses.append(
                pb_utils.InferenceResponse(
                    output_tensors=[
                        pb_utils.Tensor("nota", np.array([grade.nota], dtype=np.int32)),
                        strings("feedback", grade.feedback),
                        strings("error", grade.error),
                        strings("error_code", grade.error_code),
                    ]
                )
            )
        return responses
