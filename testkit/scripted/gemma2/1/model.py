"""Triton adapter of the scripted model: answers each request once, after its delay, in any order.

With ``SCRIPTED_SECONDS`` in its environment it takes so long for each text, one at a time: a slow model.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from collections import Counter
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from script import ScriptedAnswer, answer_for

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, _args: dict[str, str]) -> None:
        self._seen: Counter[str] = Counter()
        self._due: list[tuple[float, int, Any, ScriptedAnswer]] = []
        self._held: list[Any] = []
        self._order = count()
        self._wake = threading.Condition()
        self._closing = False
        self._seconds = float(os.environ.get("SCRIPTED_SECONDS") or 0)
        self._free_at = 0.0
        self._thread = threading.Thread(target=self._answer_when_due)
        self._thread.start()

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            prompt = pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy()[0].decode()
            outcome = answer_for(prompt, self._seen)
            if not pb_utils.get_input_tensor_by_name(request, "exclude_input_in_output").as_numpy()[0]:
                outcome = replace(outcome, text=prompt + outcome.text)
            if outcome.die or (outcome.die_once and Path(outcome.die_once).exists()):
                if outcome.die_once:
                    Path(outcome.die_once).unlink()
                os._exit(1)
            sender = request.get_response_sender()
            if outcome.hang:
                self._held.append(sender)
            elif not outcome.delay_s and not self._seconds:
                self._answer(sender, outcome)
            else:
                with self._wake:
                    heapq.heappush(self._due, (self._due_at(outcome), next(self._order), sender, outcome))
                    self._wake.notify()

    def _due_at(self, outcome: ScriptedAnswer) -> float:
        now = time.monotonic()
        if self._seconds:
            now = self._free_at = max(now, self._free_at) + self._seconds
        return now + outcome.delay_s

    def _answer_when_due(self) -> None:
        while True:
            with self._wake:
                while not self._closing and not (self._due and self._due[0][0] <= time.monotonic()):
                    self._wake.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._closing:
                    return
                _, _, sender, outcome = heapq.heappop(self._due)
            self._answer(sender, outcome)

    def _answer(self, sender: Any, outcome: ScriptedAnswer) -> None:
        if outcome.error:
            response = pb_utils.InferenceResponse(error=pb_utils.TritonError(outcome.error))
        else:
            response = pb_utils.InferenceResponse(
                output_tensors=[
                    pb_utils.Tensor("text_output", np.array([outcome.text.encode()], dtype=np.object_)),
                    pb_utils.Tensor(
                        "finish_reason", np.array([outcome.finish_reason.encode()], dtype=np.object_)
                    ),
                    pb_utils.Tensor("logprobs", np.array([outcome.logprobs.encode()], dtype=np.object_)),
                    pb_utils.Tensor("num_input_tokens", np.array([100], dtype=np.uint32)),
                    pb_utils.Tensor("num_output_tokens", np.array([20], dtype=np.uint32)),
                ]
            )
        sender.send(response, flags=FINAL)

    def finalize(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        for sender in self._held:
            sender.send(
                pb_utils.InferenceResponse(error=pb_utils.TritonError("The model was unloaded.")), flags=FINAL
            )
