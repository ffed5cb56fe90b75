"""What can be done to the service, by name: a pattern of arrivals, and the way that they take."""

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


class Way(StrEnum):
    """How it is graded."""

    SSE = "sse"
    """POST to the orchestrator, then its events."""
    GRPC = "grpc"
    """A gRPC stream to Triton's ensemble."""
    GENERATE = "generate"
    """One HTTP call a text, to Triton's generate."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A pattern on a way."""

    pattern: Pattern
    way: Way

    @property
    def overloads(self) -> bool:
        """Whether being refused is the point."""
        return self.pattern is Pattern.OVERLOAD

    @property
    def queues(self) -> bool:
        """Whether a text waits for others by intent, so that its time says nothing of one grading."""
        return self.way is Way.SSE and self.pattern is not Pattern.STEADY


def _all() -> dict[str, Scenario]:
    found = {pattern.value: Scenario(pattern, Way.SSE) for pattern in Pattern}
    for way in (Way.GRPC, Way.GENERATE):  # only the orchestrator refuses: Triton itself has no such limit
        for pattern in (Pattern.BATCH, Pattern.CLASSES, Pattern.STEADY):
            found[f"{pattern}-{way}"] = Scenario(pattern, way)
    return found


SCENARIOS = _all()
USUAL = ("batch", "classes", "steady", "steady-grpc", "steady-generate")
"""What runs when none is named: all that takes a few minutes together."""
