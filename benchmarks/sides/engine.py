"""vLLM's ``LLM.generate`` in a process of its own, nothing around it: as it is, or with replacements."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from typing import IO, Any, Self

from benchmarks.questions import Question
from benchmarks.sides.side import READY_TIMEOUT_S, STOP_TIMEOUT_S, Outcome, Setup
from local_stack.child import die_with_parent
from testkit.triton import ROOT

ROUND_TIMEOUT_S = 900.0
MAX_LINE_BYTES = 64 * 1024 * 1024


class Engine:
    """Gets all questions at once, or ``group`` after ``group``: the next only when the last is done.

    ``replacements`` name the functions of vLLM that our backend for the CPU replaces.
    """

    def __init__(self, setup: Setup, group: int | None = None, *, replacements: Sequence[str] = ()) -> None:
        self.roots: dict[str, int] = {}
        self._setup, self._group, self._replacements = setup, group, replacements
        self._process: asyncio.subprocess.Process
        self._log: IO[bytes]

    async def __aenter__(self) -> Self:
        replaced = "-replaced" if self._replacements else ""
        path = self._setup.folder / f"engine-{self._group or 'all'}{replaced}.log"
        self._log = path.open("w+b")
        self._process = await asyncio.create_subprocess_exec(
            self._setup.python,
            "-m",
            "benchmarks.inprocess",
            json.dumps(dict(self._setup.engine_args)),
            *self._replacements,
            cwd=ROOT,
            env={**os.environ, **self._setup.engine_environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            limit=MAX_LINE_BYTES,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self.roots = {"engine": self._process.pid}
        try:
            await self._hear(READY_TIMEOUT_S)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._log.close()

    async def run(self, questions: Sequence[Question]) -> Outcome:
        work = [(question.prompt, dict(question.sampling)) for question in questions]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"group": self._group, "work": work}).encode() + b"\n")
        await self._process.stdin.drain()
        told = await self._hear(ROUND_TIMEOUT_S)
        spans = [(sent, done) for sent, done, count in told.pop("groups") for _ in range(count)]
        return Outcome(**told, spans=spans)

    async def _hear(self, timeout_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            line = await self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"vLLM ended: {self._log.read()[-2000:].decode(errors='replace')}")
        heard: dict[str, Any] = json.loads(line)
        return heard
