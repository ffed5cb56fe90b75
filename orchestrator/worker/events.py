"""What the worker is told, beside what its connections to Triton tell: claims come and go."""

from dataclasses import dataclass

from orchestrator.store.claims import Claim
from orchestrator.store.committing import Committed
from orchestrator.store.reading import Unfinished
from orchestrator.triton.events import Answered, Broken, Down, Probed, Up


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job is ours to work on; `unfinished` is what is left of it."""

    claim: Claim
    unfinished: Unfinished


@dataclass(frozen=True, slots=True)
class ClaimLost:
    """The job is no longer ours: nothing that is done for it will be written."""

    job_id: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A client wants one of our jobs to end now."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Shared:
    """How many items may be in flight, and whether suspects may be tried, from now on."""

    places: int
    may_isolate: bool


Event = Claimed | ClaimLost | CancelRequested | Shared | Committed | Answered | Broken | Down | Probed | Up
