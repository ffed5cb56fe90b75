"""Settings that only the server on the CPU has, read once from the environment."""

from __future__ import annotations

from pydantic import field_validator

from triton_common.settings import EnvSettings
from triton_cpu.layout import VLLM_BACKEND

REPLACEMENTS = sorted(path.stem for path in (VLLM_BACKEND / "replacements").glob("[a-z]*.py"))
"""What can replace functions of vLLM, by name."""


class CpuSettings(EnvSettings):
    """What the vLLM backend for the CPU does otherwise than vLLM."""

    cpu_replacements: str = "all"

    @field_validator("cpu_replacements")
    @classmethod
    def _known(cls, given: str) -> str:
        words = [word.strip() for word in given.split(",")]
        known = (["all"], ["none"])
        names = [word.removeprefix("-") for word in words]
        one_way = len({word.startswith("-") for word in words}) == 1
        if words not in known and not (one_way and set(names) <= set(REPLACEMENTS)):
            listed = ", ".join(REPLACEMENTS)
            raise ValueError(f"all, none, or some of {listed}, or each of some with a - in front")
        return ",".join(words)

    @property
    def replacements(self) -> list[str]:
        """The names of those that are to be used, in order."""
        words = self.cpu_replacements.split(",")
        if words == ["none"]:
            return []
        left_out = {word.removeprefix("-") for word in words if word.startswith("-")}
        chosen = set(REPLACEMENTS) if left_out or words == ["all"] else set(words)
        return [name for name in REPLACEMENTS if name in chosen - left_out]
