"""What a benchmark writes: Markdown, JSON and a plot, with the command, the date and the machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.comparison import TITLES, Summary, cost_table, speed_table
from benchmarks.drawing import Bar, Curve, bars, curves
from benchmarks.report import Figure, machine, table
from benchmarks.steps import TOLERANCE, Growth
from benchmarks.steps import table as steps_table

RESULTS = Path(__file__).resolve().parent / "results"


def publish(out: Path, name: str, page: str, content: Mapping[str, Any], plot: str) -> str:
    """Write all three, headed by where they come from, and return the Markdown page."""
    command = " ".join([f"python -m benchmarks.{name}", *sys.argv[1:]])
    date, where = time.strftime("%Y-%m-%d", time.gmtime()), machine()
    page = f"`{command}`, {date}, {where}.\n\n{page}"
    content = {"command": command, "date": date, "machine": where, **content}
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(page, encoding="utf-8")
    (out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (out / f"{name}.svg").write_text(plot, encoding="utf-8")
    return page


def write_comparison(
    out: Path, conditions: str, tables: Mapping[str, Mapping[str, Summary]], figures: Sequence[Figure]
) -> str:
    """The side-by-side benchmark's page, whose tables come by their headings."""
    parts = [f"{conditions}."]
    for heading, summaries in tables.items():
        rounds = len(next(iter(summaries.values())).rates)
        parts.append(f"{heading}, median of {rounds} rounds:\n\n{speed_table(summaries)}")
    parts.append(table(list(figures)))
    parts += [f"{heading}, by process:\n\n{cost_table(summaries)}" for heading, summaries in tables.items()]
    content = {
        "conditions": conditions,
        "tables": {
            heading: {side: asdict(one) for side, one in summaries.items()}
            for heading, summaries in tables.items()
        },
        "figures": [{**asdict(figure), "good": figure.good} for figure in figures],
    }
    drawn = {
        heading: [
            Bar(_plain(side), one.rate, min(one.rates), max(one.rates)) for side, one in summaries.items()
        ]
        for heading, summaries in tables.items()
    }
    return publish(out, "sidebyside", "\n\n".join(parts) + "\n", content, bars("Items a second", drawn))


def write_growth(out: Path, grown: Sequence[Growth]) -> str:
    """The page on growth."""
    parts = [f"{one.title[0].upper()}{one.title[1:]}:\n\n{steps_table(one)}" for one in grown]
    content = {
        "tolerance": TOLERANCE,
        "growth": [{**asdict(one), "worse_than_linear": one.bad()} for one in grown],
    }
    drawn = [
        Curve(
            one.title,
            "seconds",
            [(step.size, step.median) for step in one.steps],
            frozenset(map(float, one.bad())),
        )
        for one in grown
    ]
    return publish(out, "growth", "\n\n".join(parts) + "\n", content, curves("How cost grows", drawn))


def _plain(side: str) -> str:
    """A side's title without Markdown, short enough to stand beside a bar."""
    return f"({side}) {TITLES[side].replace('`', '').partition(':')[0]}"
