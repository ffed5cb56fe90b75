"""What all sides have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from benchmarks.questions import ENGINE_ENVIRONMENT, Question
from testkit.triton import SERVER_PYTHON

READY_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What the sides of one table share: the engine's arguments, and the length of answers (None: free)."""

    folder: Path
    engine_args: Mapping[str, Any]
    device: Literal["cpu", "cuda"]
    model: str
    tokens: int | None
    window: int
    items: int

    @property
    def python(self) -> str:
        """The interpreter that has vLLM: in NVIDIA's image the system's own."""
        return str(SERVER_PYTHON) if self.device == "cpu" else "python3"

    @property
    def engine_environment(self) -> Mapping[str, str]:
        """On a GPU vLLM's defaults; on the CPU what Triton's model process gets, too."""
        return ENGINE_ENVIRONMENT if self.device == "cpu" else {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round. ``spans`` are (sent, answered) of each item in seconds since the round began."""

    seconds: float
    requests: int
    input_tokens: int
    output_tokens: int
    spans: list[tuple[float, float]] = field(default_factory=list)
    graded: int | None = None
    """Items with a mark, where the side reads marks."""


class Side(Protocol):
    """Something that answers questions. Use as a context manager: leaving it ends its processes."""

    roots: dict[str, int]
    """The processes that it started, by name; what those started is theirs."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc: object) -> None: ...

    async def run(self, questions: Sequence[Question]) -> Outcome:
        """One round. Raises RuntimeError where a question was not answered."""
