"""The model's settings, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

MIN_BATCHED_TOKENS = 4096
"""Prompt tokens that the CPU reads in one step, at least."""

COMPILATION: dict[int, dict[str, Any]] = {
    0: {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"},
    1: {"mode": 1, "cudagraph_mode": "FULL_DECODE_ONLY"},
    2: {"mode": 3},
    3: {"mode": 3},
}
"""vLLM's ``compilation_config`` by COMPILATION_LEVEL: each keeps CUDA graphs.

vLLM's default of them (FULL_AND_PIECEWISE) needs mode 3, its own compilation. In any other mode vLLM before
September 2026, 0.27.1 of NVIDIA's image 26.08 among them, then drops all CUDA graphs and only logs that
(``VllmConfig.__post_init__``, "Overriding to NONE"); 0.32 falls back to FULL_DECODE_ONLY, which needs no
compilation and is asked for here in modes 0 and 1. Level 2, the requirements' balance of start-up and speed,
meant a single trace; vLLM's own compilation has taken its place, and has graphs for prompts, too.
Not tried on a GPU.
"""


class SettingsError(ValueError):
    """A setting makes no sense. Its text is one line that says which, and why."""


class EnvSettings(BaseModel):
    """Settings whose field names are the environment variables' names, in lower case."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the settings from ``env``. An unset or empty variable means the default.

        Raises SettingsError with one line that names each variable that makes no sense.
        """
        values = {name: env[name.upper()] for name in cls.model_fields if env.get(name.upper())}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = "; ".join(
                f"{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()
            )
            raise SettingsError(f"Correct these settings and start again: {faults}.") from None


class ModelSettings(EnvSettings):
    """Everything that ends up in the vLLM backend's ``model.json``."""

    model_name: str = Field("carlosvillu/gemma2-9b-teacher-eval-nota-feedback", min_length=1)
    model_revision: str = ""
    gpu_memory_utilization: float = Field(0.90, gt=0, le=1)
    max_model_len: int = Field(1024, ge=64)
    tensor_parallel_size: int = Field(1, ge=1)
    # Gemma 2 is numerically unstable in float16.
    dtype: Literal["bfloat16", "float32", "auto"] = "bfloat16"
    enable_prefix_caching: bool = True
    block_size: int = Field(16, ge=1)
    max_num_seqs: int = Field(128, ge=1)
    compilation_level: int = Field(2, ge=0, le=3)
    # The CPU only: where the KV cache lives in RAM, and how much of it.
    kv_cache_memory_bytes: int | None = Field(None, ge=1 << 20)
    # Anything else that vLLM's AsyncEngineArgs take, as a JSON object: {"quantization": "fp8"}.
    extra_engine_args: Json[dict[str, Any]] = Field(default_factory=dict)

    def engine_args(self, device: Literal["cpu", "cuda"]) -> dict[str, Any]:
        """The content of ``model.json``: vLLM's AsyncEngineArgs for this device."""
        args: dict[str, Any] = {
            "model": self.model_name,
            "max_model_len": self.max_model_len,
            "tensor_parallel_size": self.tensor_parallel_size,
            "dtype": self.dtype,
            "enable_prefix_caching": self.enable_prefix_caching,
            "block_size": self.block_size,
            "max_num_seqs": self.max_num_seqs,
        }
        if self.model_revision:
            args["revision"] = self.model_revision
        if device == "cpu":
            # Compiling takes 40 s for no visible gain there, and a share of RAM says little.
            args["enforce_eager"] = True
            args["kv_cache_memory_bytes"] = self.kv_cache_memory_bytes or 1 << 30
            # A prompt that is read in two steps ends the engine when it has a seed: vLLM 0.32 winds back
            # the seed's generator then, which the CPU's can't ("CPU Generator does not use offset").
            args["enable_chunked_prefill"] = False
            args["max_num_batched_tokens"] = max(MIN_BATCHED_TOKENS, self.max_model_len)
        else:
            args["gpu_memory_utilization"] = self.gpu_memory_utilization
            args["compilation_config"] = COMPILATION[self.compilation_level]
        return {**args, **self.extra_engine_args}
