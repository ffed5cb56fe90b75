"""What a run comes to: its figures, on disk and on the terminal, and a line for each missed limit."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import machine, table
from loadtest.memory import growth_mib
from loadtest.run import Run
from loadtest.thresholds import judge, missed

KEPT = "All limits were kept."


class Verdict:
    """On a run that is over."""

    def __init__(self, run: Run) -> None:
        self._settings = run.settings
        self._samples = run.memory.samples if run.memory is not None else []
        judged = judge(run.recorder, run.scenario, run.settings, growth_mib(self._samples))
        self._figures = [each.figure for each in judged]
        self._missed = missed(judged)
        self._title = f"{run.settings.scenario} ({machine()})"

    @property
    def kept(self) -> bool:
        """Whether every limit was."""
        return not self._missed

    def __str__(self) -> str:
        return "\n".join([f"\n{self._title}\n", table(self._figures), "", *(self._missed or [KEPT])])

    def write(self) -> None:
        """Beside Locust's own reports, if it was told where they are."""
        report = self._settings.report
        if not report:
            return
        content = {
            "title": self._title,
            "settings": self._settings.model_dump(),
            "figures": [asdict(figure) for figure in self._figures],
            "missed": self._missed,
        }
        Path(f"{report}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        if self._samples:
            with Path(f"{report}_memory.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("seconds", "orchestrator_mib"), *self._samples])
