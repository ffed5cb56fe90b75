"""``avalua evaluate``: a file in, marks out; what is interrupted can be gone on with."""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from avalua_client.cli.output import ProgressLine, give, say
from avalua_client.client import AvaluaClient
from avalua_client.errors import AvaluaError, ConfigurationError, JobExpiredError, JobNotFoundError
from avalua_client.evaluation import Evaluation
from avalua_client.files import Outcome, Reading, Sheet, check_target, evaluate_file, load_file, save
from avalua_client.retrying import ONE_TRY
from avalua_client.state import State

ALL_GOOD, SOME_FAILED, UNUSABLE, NO_SERVICE, INTERRUPTED = 0, 1, 2, 3, 130
QUESTION = "Cancel the job (c), or leave it running (Enter)? "
YES = frozenset("cysj")
"""Cancel, yes, sí, sim ...: nobody who types these wants it to go on."""
MAX_ROWS_TOLD = 20
FIELDS = ("respuesta", "id_alumno", "curso", "consigna", "evaluacion_1", "evaluacion_2", "evaluacion_3")
KEPT_SUFFIXES = (".csv", ".xlsx", ".json", ".ndjson", ".jsonl")
STDIN, TAB = "-", "\t"


@dataclass
class Run:
    """One call of the command."""

    options: argparse.Namespace
    url: str
    api_key: str | None
    argv: Sequence[str]
    state: State | None = None
    sheet: Sheet | None = None
    evaluation: Evaluation | None = None
    source: Path = field(default_factory=Path)
    target: Path = field(default_factory=Path)
    line: ProgressLine | None = None

    def execute(self) -> int:
        """The exit status. Raises AvaluaError, TableError, OSError."""
        reading = _reading(self.options)
        with tempfile.TemporaryDirectory() as folder:
            self.source = _source(self.options, Path(folder))
            self.target = self.options.output or _default_target(self.source, self.options.file)
            check_target(self.source, self.target)
            if self.target.exists() and not (self.options.force or self.options.resume):
                raise ConfigurationError(f"{self.target} is there already: name another one, or add --force.")
            self.state = self._state()
            try:
                outcome = asyncio.run(self._evaluate(reading))
            except KeyboardInterrupt:
                return self._interrupted()
            except OSError as error:
                # Before anything was read, it is the file itself that can't be used.
                if self.evaluation is None or not self._keep(tell=False):
                    raise
                say(f"avalua: the marks can't be written ({error.strerror or error}): make room, and go on.")
                self._keep()
                return SOME_FAILED
            except AvaluaError:
                self._keep()
                raise
            finally:
                if self.line is not None:
                    self.line.end()
        return self._finish(outcome)

    async def _evaluate(self, reading: Reading) -> Outcome:
        async with AvaluaClient(self.url, self.api_key, on_wait=self._waits) as client:
            # What is wrong with the file is said first. Then the service is asked once: a wrong address is
            # said at once, and not after a long wait.
            sheet = await asyncio.to_thread(load_file, self.source, reading)
            if notice := (await client.health()).get("notice"):
                say(f"NOTE: {notice}")
            return await evaluate_file(
                client,
                self.source,
                self.target,
                sheet=sheet,
                locale=self.options.locale,
                priority=self.options.priority,
                state=self.state,
                on_start=self._started,
                on_batch=self._moved,
            )

    def _state(self) -> State:
        name = str(Path(self.options.file).resolve()) if self.options.file != STDIN else STDIN
        if not self.options.resume:
            if State.exists(self.url, name):
                say("An earlier run of this file is unfinished: --resume goes on with it; this one is new.")
            return State.new(self.url, name)
        unfinished = State.latest(self.url, name)
        if unfinished is None:
            raise ConfigurationError(
                f"There is no unfinished run of {name} at {self.url}: leave --resume out."
            )
        return unfinished

    def _started(self, sheet: Sheet, evaluation: Evaluation) -> None:
        self.sheet, self.evaluation = sheet, evaluation
        say(_described(sheet, self.options.file))
        problems = sheet.prepared.problems
        for problem in problems[:MAX_ROWS_TOLD]:
            say(f"row {problem.row}: {problem.message}")
        if len(problems) > MAX_ROWS_TOLD:
            say(f"... and {len(problems) - MAX_ROWS_TOLD} rows more that can't be marked")
        if not evaluation.items:
            raise ConfigurationError("There is no text to mark in it.")
        evaluation.on_job = lambda job_id, count: say(f"Job {job_id}: {_texts(count)}.")
        self.line = ProgressLine(len(evaluation.items), resumed=self.options.resume)
        self.line.show(0)

    def _moved(self) -> None:
        assert self.line is not None
        assert self.evaluation is not None
        self.line.show(len(self.evaluation.results))

    def _waits(self, why: str) -> None:
        if self.line is not None:
            self.line.wait(why)

    def _finish(self, outcome: Outcome) -> int:
        assert self.state is not None
        if outcome.target != self.target:
            say(f"{self.target} can't be written (is it open?): the marks are in {outcome.target}.")
        if outcome.ended_early:
            say(f"The job was {outcome.ended_early} before all was marked; {self._again()} marks the rest.")
        else:
            self.state.delete()
        failed = [(place, result) for place, result in sorted(outcome.results.items()) if not result.ok]
        for place, result in failed[:MAX_ROWS_TOLD]:
            row = outcome.sheet.row_number(place)
            say(f"row {row}: not marked ({result.error_code}): {result.error_message}")
        if len(failed) > MAX_ROWS_TOLD:
            say(f"... and {len(failed) - MAX_ROWS_TOLD} rows more that were not marked")
        status = ALL_GOOD if outcome.complete else SOME_FAILED
        not_sent = len(outcome.sheet.not_sent)
        left_out = f", {not_sent} not sent" if not_sent else ""
        say(f"{outcome.marked} marked, {outcome.not_marked} not{left_out}: {outcome.target}")
        if self.options.json:
            summary = {
                "output": str(outcome.target),
                "items": len(outcome.sheet.prepared.items),
                "marked": outcome.marked,
                "not_marked": outcome.not_marked,
                "not_sent": not_sent,
                "job_ids": list(outcome.job_ids),
                "ended_early": outcome.ended_early or None,
                "exit_status": status,
            }
            give(json.dumps(summary, ensure_ascii=False))
        return status

    def _interrupted(self) -> int:
        """Ask whether the job shall end; without a terminal, or an answer, it goes on."""
        if self.line is not None:
            self.line.end()
        if not self._keep(tell=False):
            say("Interrupted: nothing was sent.")
            return INTERRUPTED
        try:
            answer = ""
            if sys.stdin.isatty() and sys.stderr.isatty():
                print(QUESTION, end="", file=sys.stderr, flush=True)
                answer = input()
            if answer.strip().lower()[:1] in YES:
                asyncio.run(self._cancel())
                return INTERRUPTED
        except (KeyboardInterrupt, EOFError):
            pass
        self._keep()
        return INTERRUPTED

    async def _cancel(self) -> None:
        assert self.state is not None
        done, unknown = "", False
        if self.sheet is not None and self.evaluation is not None and self.evaluation.results:
            # First: the service may be away.
            written = save(self.sheet, self.evaluation.results, self.target, self.options.locale)
            done = f"; {len(self.evaluation.results)} results that had come are in {written}"
        try:
            async with AvaluaClient(self.url, self.api_key, retry=ONE_TRY) as client:
                for job in self.state.jobs:
                    if job.job_id is None:
                        unknown = True
                        continue
                    with suppress(JobNotFoundError, JobExpiredError):  # it is over anyway
                        await client.cancel(job.job_id)
        except AvaluaError as error:
            say(f"Not cancelled{done}: {error}")
            self._keep()
            return
        if unknown:
            say(
                f"Cancelled{done}; one more job was just being sent, and may go on: {self._again()} finds it."
            )
            return
        say(f"Cancelled{done}.")
        self.state.delete()

    def _keep(self, *, tell: bool = True) -> bool:
        """Say how to go on, if anything was sent; whether it was."""
        if self.state is None or not self.state.jobs:
            return False
        if tell:
            jobs = ", ".join(job.job_id or "(perhaps one more)" for job in self.state.jobs)
            verb = "goes" if len(self.state.jobs) == 1 else "go"
            say(f"Job {jobs} {verb} on at the service. Go on here with: {self._again()}")
        return True

    def _again(self) -> str:
        words = [word for word in self.argv if word != "--resume"]
        return shlex.join(["avalua", *words, "--resume"])


def _reading(options: argparse.Namespace) -> Reading:
    columns = {}
    for one in options.column:
        name, equals, column = one.partition("=")
        if not equals or name not in FIELDS or not column:
            raise ConfigurationError(f"--column wants FIELD=COLUMN, with a field of {', '.join(FIELDS[:4])}.")
        columns[name] = column
    separator = TAB if options.separator == "tab" else options.separator
    return Reading(
        columns, options.curso, options.consigna, options.kind, options.encoding, separator, options.sheet
    )


def _source(options: argparse.Namespace, folder: Path) -> Path:
    """The file to read; what comes through a pipe is put into one."""
    if options.file != STDIN:
        return Path(options.file)
    if options.output is None:
        raise ConfigurationError("With - as the file, name what to write: -o marks.xlsx.")
    kept = folder / f"input.{options.kind or 'csv'}"
    if sys.stdin is None:
        raise ConfigurationError("There is no standard input to read: name a file.")
    kept.write_bytes(sys.stdin.buffer.read())
    return kept


def _default_target(source: Path, name: str) -> Path:
    """``class-marks.csv`` for ``class.csv``; a number is added before an earlier run's marks are lost."""
    suffix = source.suffix if source.suffix.lower() in KEPT_SUFFIXES else ".csv"
    plain = Path(name).with_name(f"{source.stem}-marks{suffix}")
    chosen, number = plain, 1
    while chosen.exists():
        number += 1
        chosen = plain.with_name(f"{source.stem}-marks-{number}{suffix}")
    return chosen


def _described(sheet: Sheet, name: str) -> str:
    """How a file was read, for a person to see before anything is marked."""
    source, columns = sheet.table.source, sheet.columns
    how = [source.kind.upper()]
    if source.encoding:
        how.append(source.encoding)
    if source.separator:
        how.append("separated by tabs" if source.separator == TAB else f'separated by "{source.separator}"')
    if source.sheet:
        how.append(f"sheet {source.sheet}")
    found = [
        f"{field}={sheet.table.columns[place]}"
        for field, place in (
            ("id_alumno", columns.id_alumno),
            ("curso", columns.curso),
            ("consigna", columns.consigna),
            ("respuesta", columns.respuesta),
        )
        if place is not None
    ]
    if columns.id_alumno is None:
        found.append("no column of ids: the rows' numbers are sent")
    notes = "".join(f"; {note}" for note in sheet.table.notes)
    return f"{name}: {', '.join(how)}; {_texts(len(sheet.prepared.items))}; {', '.join(found)}{notes}"


def _texts(count: int) -> str:
    return f"{count} text{'' if count == 1 else 's'}"
