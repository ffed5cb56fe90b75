"""What connections to Triton tell the worker."""

from dataclasses import dataclass

from orchestrator.triton.codec import Outcome
from orchestrator.triton.server import Server


@dataclass(frozen=True, slots=True)
class Answered:
    """The one answer to a request."""

    server: Server
    request_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection is gone: what was unanswered on it gets no answer any more."""

    server: Server


@dataclass(frozen=True, slots=True)
class Down:
    """It no longer answers."""

    server: Server


@dataclass(frozen=True, slots=True)
class Up:
    """It answers. `restarted`: since it last did, the server or its model died and began anew."""

    server: Server
    restarted: bool


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe that was sent at this moment, by the monotonic clock, was answered, or was not in time."""

    server: Server
    alive: bool
    asked_at: float
