"""A logits processor that breaks or stops the engine when a request asks for it, inside vLLM's step."""

from __future__ import annotations

import threading
from typing import Any

from vllm.v1.sample.logits_processor import LogitsProcessor


class FailOnRequest(LogitsProcessor):  # type: ignore[misc]  # vLLM is not installed where types are checked
    """Acts as soon as a request that asks for it joins the batch.

    ``extra_args={"break_engine": true}`` raises, ``{"hang_engine": true}`` never returns.
    """

    def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
        del vllm_config, device, is_pin_memory

    def apply(self, logits: Any) -> Any:
        return logits

    def is_argmax_invariant(self) -> bool:
        return True

    def update_state(self, batch_update: Any) -> None:
        for _, params, _, _ in batch_update.added if batch_update else ():
            asked = params.extra_args or {}
            if asked.get("break_engine"):
                raise RuntimeError("the engine was told to break")
            if asked.get("hang_engine"):
                threading.Event().wait()
