"""Triton adapter of the postprocess step: generated text in, mark and feedback (or why not) out.

Shapes and types stand in ``../config.pbtxt``; reading the mark happens in ``grade.py``, how sure it is in
``confidence.py``. A text that can't be read is an answer with ``error`` set, never a Triton error: the
caller decides what to do.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from confidence import NOT_KNOWN, read_confidence, read_threshold
from flags import LOW_CONFIDENCE, UNCHECKED
from grade import NO_MARK, read_output
from notes import open_notes

UNKNOWN_SHARE = -1.0


def first(request: Any, name: str) -> bytes:
    """The first element of a STRING [-1] input; empty when there is none."""
    values = pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)
    return bytes(values[0]) if len(values) else b""


def strings(name: str, value: str) -> Any:
    return pb_utils.Tensor(name, np.array([value.encode("utf-8", errors="replace")], dtype=np.object_))


def floats(name: str, *values: float) -> Any:
    return pb_utils.Tensor(name, np.array(values, dtype=np.float32))


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._notes, problem = open_notes(Path(args["model_repository"]).parent)
        if problem:
            pb_utils.Logger.log_warn(problem)
        try:
            self._low_confidence = read_threshold(os.environ)
        except ValueError as error:
            raise pb_utils.TritonModelException(str(error)) from None

    def finalize(self) -> None:
        if self._notes is not None:
            self._notes.close()

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        request_id = request.request_id()
        note = self._notes.take(request_id) if self._notes is not None and request_id else None
        grade = read_output(
            first(request, "text_output"), first(request, "finish_reason").decode("utf-8", errors="replace")
        )
        sure = NOT_KNOWN
        if grade.nota != NO_MARK:
            sure = read_confidence(first(request, "logprobs").decode("utf-8", errors="replace"), grade.nota)
        low = 0 <= sure.confidence < self._low_confidence
        flags = [*(note.flags if note else [UNCHECKED]), *([LOW_CONFIDENCE] if low else [])]
        return pb_utils.InferenceResponse(
            output_tensors=[
                pb_utils.Tensor("nota", np.array([grade.nota], dtype=np.int32)),
                strings("feedback", grade.feedback),
                strings("error", grade.error),
                strings("error_code", grade.error_code),
                strings("flags", json.dumps(flags)),
                floats("share_kept", note.share_kept if note else UNKNOWN_SHARE),
                floats("mark_probabilities", *sure.probabilities),
                floats("confidence", sure.confidence),
                floats("expected_mark", sure.expected_mark),
            ]
        )
