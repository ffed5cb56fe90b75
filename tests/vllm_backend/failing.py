"""A logits processor that breaks the engine when a request asks for it: a real failure inside vLLM's step."""

from __future__ import annotations

from typing import Any

from vllm.v1.sample.logits_processor import LogitsProcessor


class FailOnRequest(LogitsProcessor):  # type: ignore[misc]  # vLLM is not installed where types are checked
    """Raises as soon as a request with ``extra_args={"break_engine": true}`` joins the batch."""

    def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
        del vllm_config, device, is_pin_memory

    def apply(self, logits: Any) -> Any:
        return logits

    def is_argmax_invariant(self) -> bool:
        return True

    def update_state(self, batch_update: Any) -> None:
        for _, params, _, _ in batch_update.added if batch_update else ():
            if (params.extra_args or {}).get("break_engine"):
                raise RuntimeError("the engine was told to break")
