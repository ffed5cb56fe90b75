"""A benchmark's figures: as a table for people, as JSON for comparisons."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, and the limit that it has to keep (None: it is only shown)."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def good(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def table(figures: list[Figure]) -> str:
    """A Markdown table, one row a figure."""
    lines = ["| figure | value | limit | |", "| --- | ---: | ---: | --- |"]
    for figure in figures:
        limit, verdict = "", ""
        if figure.limit is not None:
            limit = f"{'≥' if figure.at_least else '≤'} {figure.limit:g} {figure.unit}".strip()
            verdict = "kept" if figure.good else "**missed**"
        lines.append(f"| {figure.name} | {figure.value:.4g} {figure.unit} | {limit} | {verdict} |")
    return "\n".join(lines)


def machine() -> str:
    """What the figures depend on: processors, memory, and how busy others kept them."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = f" ({names[0]})" if names else ""
    return (
        f"{os.cpu_count()} processors{processor}, {memory_gib:.0f} GiB of memory, "
        f"load average {os.getloadavg()[0]:.1f} at the end"
    )


def publish(title: str, figures: list[Figure], path: Path | None) -> None:
    """Print the table; with ``path`` write the same there as JSON."""
    print(f"\n{title} ({machine()})\n\n{table(figures)}", flush=True)
    if path is not None:
        content = {"title": title, "machine": machine(), "figures": [asdict(figure) for figure in figures]}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
