"""Results: a mark with feedback and what it can be held against, or an error."""

from dataclasses import dataclass

from orchestrator.jobs.item import ItemError


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a teacher can hold a mark against: how sure the model was, and what was odd about the text.

    Probabilities are of the marks 0 to 5; `share_kept` is the part of the student's text that the model read;
    None where it is not known. `provenance_id` names what the mark was made with.
    """

    flags: tuple[str, ...] = ()
    confidence: float | None = None
    expected_mark: float | None = None
    mark_probabilities: tuple[float, ...] | None = None
    share_kept: float | None = None
    provenance_id: str | None = None


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item: a mark with feedback, or an error. Never both, never neither."""

    index: int
    id_alumno: str
    nota: int | None
    feedback: str | None
    error: ItemError | None
    attempts: int
    evidence: Evidence = NO_EVIDENCE

    def __post_init__(self) -> None:
        if (self.nota is None) == (self.error is None):
            raise ValueError("a result has a mark or an error")

    @property
    def failed(self) -> bool:
        return self.error is not None
