"""Whose fault a failure is: the item's own, or the model's, which takes its whole company down.

A model that dies fails every item in flight. Were each failure held against its item, one poisonous text
would fail 150 innocent ones. So a failure is held until it is known what became of its company:
one answer from it shows that the model lived; if all of them failed too, the model died.
"""

from enum import Enum, auto

from orchestrator.runs import Attempt


class Verdict(Enum):
    OWN = auto()  # the item failed by itself
    CRASH = auto()  # the model died with several items in flight, any of which may be the cause
    CRASH_ALONE = auto()  # the model died with this item alone in flight


class Incident:
    """From the first failure until it is clear what happened."""

    def __init__(self, companions: set[str]) -> None:
        self._companions = companions
        self._in_company = bool(companions)
        self._survived = False
        self._alive: bool | None = None
        self.held: list[Attempt] = []

    def hold(self, request_id: str, attempt: Attempt) -> None:
        """One more item failed."""
        self._companions.discard(request_id)
        self.held.append(attempt)

    def answered(self, request_id: str) -> None:
        """An item got an answer. If it was in flight at the first failure, the model did not die."""
        self._survived |= request_id in self._companions

    def probed(self, alive: bool) -> None:
        self._alive = alive

    @property
    def verdict(self) -> Verdict | None:
        """None while it is not clear yet."""
        if self._survived:
            return Verdict.OWN
        alone = not self._in_company and len(self.held) == 1
        if self._alive is False:
            return Verdict.CRASH_ALONE if alone else Verdict.CRASH
        if self._alive and not self._companions:
            return Verdict.OWN if alone else Verdict.CRASH
        return None
