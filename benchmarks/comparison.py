"""What the rounds of a comparison amount to: one summary a side, the ratios, and the tables. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.meter import CLIENT, Cost
from benchmarks.report import Figure
from benchmarks.sides.side import Outcome

LIMIT = "a"
"""The side that the others are held against."""
TITLES = {
    "a": "`LLM.generate`, all at once: vLLM's limit",
    "a+": "the same with our replacements: our engine's limit",
    "b": "`LLM.generate`, ten by ten",
    "b'": "our ensemble, ten by ten",
    "c": "vLLM's OpenAI server",
    "d": "our ensemble, one gRPC stream",
    "e": "our service, POST to last event",
}
ASKED = (("e", "a", 0.9), ("e", "a+", 0.9), ("e", "c", 1.2), ("e", "b'", 2.5))
"""Side, side that it is held against, and the ratio of their speeds that is asked for."""


class UnequalError(RuntimeError):
    """The sides did not do the same work, so their speeds can't be compared."""


@dataclass(frozen=True, slots=True)
class Round:
    """One side's turn."""

    outcome: Outcome
    cost: Cost

    @property
    def rate(self) -> float:
        """Items a second."""
        return len(self.outcome.spans) / self.outcome.seconds


@dataclass(frozen=True, slots=True)
class Summary:
    """All turns of one side. Times in seconds; ``cpu_ms`` an item and ``peak_mib`` by process."""

    rates: list[float]
    rate: float
    ratio: float
    p50: float
    p95: float
    p50_since_start: float
    p95_since_start: float
    cpu_ms: Mapping[str, float]
    peak_mib: Mapping[str, float]
    input_tokens: float
    output_tokens: float
    graded: float | None

    @property
    def server_peak_mib(self) -> float:
        return sum(value for name, value in self.peak_mib.items() if name != CLIENT)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def check(rounds: Mapping[str, Sequence[Round]], items: int, tokens: int | None) -> None:
    """Raise UnequalError unless every side sent the engine each item once, with as many tokens.

    ``tokens`` is the length that all answers have; without one they end by themselves, and may differ.
    """
    for number in range(min(map(len, rounds.values()))):
        outcomes = {name: turns[number].outcome for name, turns in rounds.items()}
        read = {name: outcome.input_tokens for name, outcome in outcomes.items()}
        if len(set(read.values())) > 1:
            raise UnequalError(f"round {number + 1}: prompts of different lengths were read: {read}")
        for name, outcome in outcomes.items():
            if outcome.requests != items or len(outcome.spans) != items:
                raise UnequalError(
                    f"round {number + 1}: {name} made {outcome.requests} requests for {items} items"
                )
            if tokens is not None and outcome.output_tokens != tokens * items:
                raise UnequalError(
                    f"round {number + 1}: {name} wrote {outcome.output_tokens} tokens, not {tokens * items}"
                )


def summarize(turns: Sequence[Round], limit: float) -> Summary:
    """One side's summary; ``limit`` is the median rate of the side that it is held against."""
    outcomes = [turn.outcome for turn in turns]
    count = sum(len(outcome.spans) for outcome in outcomes)
    waits = [done - sent for outcome in outcomes for sent, done in outcome.spans]
    ends = [done for outcome in outcomes for _, done in outcome.spans]
    rates = [turn.rate for turn in turns]
    processes = {name: None for turn in turns for name in turn.cost.cpu_s}
    marks = [outcome.graded for outcome in outcomes if outcome.graded is not None]
    return Summary(
        rates=rates,
        rate=statistics.median(rates),
        ratio=statistics.median(rates) / limit,
        p50=quantile(waits, 0.5),
        p95=quantile(waits, 0.95),
        p50_since_start=quantile(ends, 0.5),
        p95_since_start=quantile(ends, 0.95),
        cpu_ms={
            name: 1000 * sum(turn.cost.cpu_s.get(name, 0.0) for turn in turns) / count for name in processes
        },
        peak_mib={name: max(turn.cost.peak_mib.get(name, 0.0) for turn in turns) for name in processes},
        input_tokens=sum(outcome.input_tokens for outcome in outcomes) / count,
        output_tokens=sum(outcome.output_tokens for outcome in outcomes) / count,
        graded=sum(marks) / count if marks else None,
    )


def summarize_all(rounds: Mapping[str, Sequence[Round]]) -> dict[str, Summary]:
    """Every side's summary."""
    limit = statistics.median(turn.rate for turn in rounds[LIMIT])
    return {name: summarize(turns, limit) for name, turns in rounds.items()}


def verdicts(summaries: Mapping[str, Summary], title: str) -> list[Figure]:
    """The ratios that are asked for, as far as their sides took part."""
    return [
        Figure(
            f"{title}: ({one}) to ({other})",
            summaries[one].rate / summaries[other].rate,
            "",
            least,
            at_least=True,
        )
        for one, other, least in ASKED
        if one in summaries and other in summaries
    ]


def speed_table(summaries: Mapping[str, Summary]) -> str:
    """A Markdown table, one row a side."""
    lines = [
        "| | side | items/s | from - to | to (a) | P50 / P95, s | CPU, ms an item | memory, MiB "
        "| tokens in / out | marked |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in summaries.items():
        marked = "" if one.graded is None else f"{one.graded:.1%}"
        lines.append(
            f"| {name} | {TITLES[name]} | {one.rate:.1f} | {min(one.rates):.1f} - {max(one.rates):.1f} "
            f"| {one.ratio:.2f} | {one.p50:.2f} / {one.p95:.2f} | {sum(one.cpu_ms.values()):.1f} "
            f"| {one.server_peak_mib:.0f} | {one.input_tokens:.1f} / {one.output_tokens:.1f} | {marked} |"
        )
    return "\n".join(lines)


def cost_table(summaries: Mapping[str, Summary]) -> str:
    """A Markdown table: processor time an item and memory, a process a row."""
    lines = ["| | process | CPU, ms an item | peak memory, MiB |", "| --- | --- | ---: | ---: |"]
    for name, one in summaries.items():
        lines += [
            f"| {name} | {process} | {one.cpu_ms[process]:.2f} | {one.peak_mib[process]:.0f} |"
            for process in one.cpu_ms
        ]
    return "\n".join(lines)
