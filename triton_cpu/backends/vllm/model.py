"""Triton's ``vllm`` backend for the CPU: NVIDIA's interface, with the engine in this process.

The interface (inputs, outputs, parameters, messages) is that of triton-inference-server/vllm_backend, so
that a model repository runs unchanged on NVIDIA's image and here.
"""

from __future__ import annotations

import locale
import os
from typing import Any

INPUTS = [
    ("text_input", "TYPE_STRING", 1, False),
    ("image", "TYPE_STRING", -1, True),
    ("stream", "TYPE_BOOL", 1, True),
    ("sampling_parameters", "TYPE_STRING", 1, True),
    ("exclude_input_in_output", "TYPE_BOOL", 1, True),
    ("return_finish_reason", "TYPE_BOOL", 1, True),
    ("return_cumulative_logprob", "TYPE_BOOL", 1, True),
    ("return_logprobs", "TYPE_BOOL", 1, True),
    ("return_num_input_tokens", "TYPE_BOOL", 1, True),
    ("return_num_output_tokens", "TYPE_BOOL", 1, True),
]
OUTPUTS = [
    ("text_output", "TYPE_STRING", -1),
    ("finish_reason", "TYPE_STRING", -1),
    ("cumulative_logprob", "TYPE_FP32", -1),
    ("logprobs", "TYPE_STRING", -1),
    ("num_input_tokens", "TYPE_UINT32", 1),
    ("num_output_tokens", "TYPE_UINT32", -1),
]


class TritonPythonModel:
    """Adapts Triton's calls. vLLM is imported by ``initialize`` alone: completing the config happens in a
    process of its own, which would otherwise spend seconds on importing it."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Add the inputs and outputs that the model's own config doesn't name."""
        given = config.as_dict()
        inputs = {tensor["name"] for tensor in given["input"]}
        outputs = {tensor["name"] for tensor in given["output"]}
        for name, data_type, dim, optional in INPUTS:
            if name not in inputs:
                tensor = {"name": name, "data_type": data_type, "dims": [dim]}
                config.add_input({**tensor, "optional": True} if optional else tensor)
        for name, data_type, dim in OUTPUTS:
            if name not in outputs:
                config.add_output({"name": name, "data_type": data_type, "dims": [dim]})
        config.set_model_transaction_policy({"decoupled": True})
        # vLLM does the batching.
        config.set_max_batch_size(0)
        return config

    def initialize(self, args: dict[str, str]) -> None:
        # Triton embeds Python with the C locale, in which torch and vLLM can't read their own source files.
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from real_paths import keep_links_in_real_paths  # noqa: PLC0415

        keep_links_in_real_paths()
        from inprocess.backend import Backend  # noqa: PLC0415

        self._backend = Backend(args)

    def execute(self, requests: list[Any]) -> None:
        self._backend.execute(requests)

    def finalize(self) -> None:
        self._backend.close()
