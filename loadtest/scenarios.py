"""What can be done to the service, by name: a pattern of arrivals, and the interface that they use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Pattern(StrEnum):
    """When work arrives."""

    BATCH = "batch"
    """One large job."""
    CLASSES = "classes"
    """Many classes in the same moment."""
    STEADY = "steady"
    """Classes one after the other, at random times that do not depend on how earlier ones fare."""
    OVERLOAD = "overload"
    """Many times more jobs than fit, each handed in again until it is taken."""


class Interface(StrEnum):
    """How it is graded."""

    SSE = "sse"
    """POST to the orchestrator, then its events."""
    GRPC = "grpc"
    """A gRPC stream to Triton's ensemble."""
    GENERATE = "generate"
    """One HTTP call a text, to Triton's generate."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A pattern on an interface."""

    pattern: Pattern
    interface: Interface

    @property
    def overloads(self) -> bool:
        """Whether being refused is the point."""
        return self.pattern is Pattern.OVERLOAD

    @property
    def queues(self) -> bool:
        """Whether a text waits for others by intent, so that its time says nothing of one grading."""
        return self.interface is Interface.SSE and self.pattern is not Pattern.STEADY


def _all() -> dict[str, Scenario]:
    found = {pattern.value: Scenario(pattern, Interface.SSE) for pattern in Pattern}
    for interface in (
        Interface.GRPC,
        Interface.GENERATE,
    ):  # Triton refuses nobody
        for pattern in (Pattern.BATCH, Pattern.CLASSES, Pattern.STEADY):
            found[f"{pattern}-{interface}"] = Scenario(pattern, interface)
    return found


SCENARIOS = _all()
USUAL = ("batch", "classes", "steady", "steady-grpc", "steady-generate")
"""What runs when none is named: all that takes a few minutes together."""
