"""What was measured, held against what was promised. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import Figure
from loadtest.recorder import DELIVERY, FIRST_BATCH, GAP, ITEM, JOB, LATE, REFUSED, SUBMIT, Recorder, Row
from loadtest.scenarios import Interface, Scenario
from loadtest.settings import Settings

P95_ROWS = (SUBMIT, FIRST_BATCH, GAP, JOB, LATE)
"""Shown, though nothing was promised of them."""
MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure, and what to do when it misses its limit."""

    figure: Figure
    advice: str = ""

    @property
    def line(self) -> str:
        """The one line that a missed limit gets."""
        figure = self.figure
        allowed = "at least" if figure.at_least else "at most"
        value, limit = (f"{number:.4g} {figure.unit}".strip() for number in (figure.value, figure.limit or 0))
        return f"MISSED {figure.name}: {value}, but {allowed} {limit} is wanted. {self.advice}"


def judge(
    recorder: Recorder, scenario: Scenario, settings: Settings, growth_mib: float | None
) -> list[Judged]:
    """All figures of a run; those that the scenario has something to say about have a limit."""
    judged = [
        Judged(
            Figure("items/s", recorder.items_per_s, "", settings.min_items_per_s, at_least=True),
            "Give the model more to run at once (MAX_NUM_SEQS) or a faster machine; or ask for less: "
            "--min-items-per-s.",
        ),
        Judged(
            Figure("failed", sum(recorder.failures.values()), "", settings.max_failed),
            f"Most often: {_most_often(recorder)}. The logs of the service say more.",
        ),
    ]
    if scenario.interface is Interface.SSE:
        judged += _answers(recorder, scenario, settings)
    if items := recorder.samples[ITEM]:
        judged.append(
            Judged(
                _p95(ITEM, items, None if scenario.queues else settings.max_item_p95_s),
                "More arrives than is graded in time: send less (--classes-per-minute, --in-flight), or give "
                "the model more room; or allow more: --max-item-p95-s.",
            )
        )
    if deliveries := recorder.samples[DELIVERY]:
        limit = None if scenario.overloads else settings.max_event_p95_ms
        judged.append(
            Judged(
                _p95(DELIVERY, [1000 * seconds for seconds in deliveries], limit, "ms"),
                "The orchestrator or this client has too little processor time: look at both with top; "
                "or allow more: --max-event-p95-ms.",
            )
        )
    judged += [Judged(_p95(row, recorder.samples[row])) for row in P95_ROWS if recorder.samples[row]]
    if growth_mib is not None:
        limit = settings.max_memory_growth_mib if scenario.overloads else None
        judged.append(
            Judged(
                Figure("memory growth", growth_mib, "MiB", limit),
                "Run it for longer (--overload-seconds): what goes on growing is a leak. Or allow more: "
                "--max-memory-growth-mib.",
            )
        )
    return judged


def missed(judged: Sequence[Judged]) -> list[str]:
    """A line for each limit that was not kept."""
    return [each.line for each in judged if not each.figure.good]


def _answers(recorder: Recorder, scenario: Scenario, settings: Settings) -> list[Judged]:
    """Of the orchestrator, by kind; and whether every 202 was kept as a promise."""
    accepted = len(recorder.samples[SUBMIT])
    others = sum(count for (row, _), count in recorder.failures.items() if row is SUBMIT)
    return [
        Judged(Figure("accepted (202)", accepted, "")),
        _refused(recorder, scenario, settings),
        Judged(
            Figure("other answers to POST", others, "", settings.max_failed),
            "Only 202 and 429 are right: its log says what went wrong.",
        ),
        Judged(
            Figure(
                "accepted, but not completed", accepted - len(recorder.samples[JOB]), "", settings.max_failed
            ),
            "Accepted jobs were lost, or need longer than --deadline-s.",
        ),
    ]


def _refused(recorder: Recorder, scenario: Scenario, settings: Settings) -> Judged:
    count = len(recorder.samples[REFUSED])
    if scenario.overloads:
        return Judged(
            Figure("refused (429)", count, "", 1, at_least=True),
            "The service was never full: --room must be its MAX_CONCURRENT_JOBS + MAX_QUEUED_JOBS.",
        )
    return Judged(
        Figure("refused (429)", count, "", settings.max_refused),
        "More jobs at once than it takes: raise MAX_QUEUED_JOBS, or send fewer (--classes).",
    )


def _p95(row: Row, values: list[float], limit: float | None = None, unit: str = "s") -> Figure:
    high = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    return Figure(f"{row.name}, P95", high, unit, limit)


def _most_often(recorder: Recorder) -> str:
    named = recorder.failures.most_common(MAX_NAMED)
    return "; ".join(f"{row.name}: {problem} ({count})" for (row, problem), count in named) or "nothing"
