"""vLLM's own OpenAI server, asked by an async client with a fixed number of requests in flight."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import aiohttp

from benchmarks.questions import Question
from benchmarks.sides.side import READY_TIMEOUT_S, STOP_TIMEOUT_S, Outcome, Setup
from local_stack.child import Child
from local_stack.ports import free_ports
from local_stack.readiness import wait_ready
from testkit.triton import ROOT

ANSWER_TIMEOUT_S = 900.0


def flags(engine_args: Mapping[str, Any]) -> list[str]:
    """The engine's arguments as vLLM's command line takes them."""
    words = []
    for name, value in engine_args.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", json.dumps(value) if isinstance(value, dict | list) else str(value)]
    return words


class OpenAI:
    """As quick as it goes: without statistics and without a log line a request."""

    def __init__(self, setup: Setup) -> None:
        self.roots: dict[str, int] = {}
        self._setup = setup
        self._port = free_ports(1)[0]
        command = [setup.python, "-m", "vllm.entrypoints.openai.api_server", *flags(setup.engine_args)]
        command += ["--host", "127.0.0.1", "--port", str(self._port), "--served-model-name", "model"]
        command += ["--disable-log-stats", "--disable-uvicorn-access-log"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "VLLM_HOST_IP": "127.0.0.1",
            "VLLM_NO_USAGE_STATS": "1",
            **setup.engine_environment,
        }
        self._server = Child("vLLM's OpenAI server", command, environment, setup.folder / "openai.log")

    async def __aenter__(self) -> Self:
        await self._server.start()
        try:
            await wait_ready(
                self._server, f"http://127.0.0.1:{self._port}/health", READY_TIMEOUT_S, lambda _: None
            )
        except BaseException:
            await self._server.kill()
            raise
        self.roots = {"API server": self._server.pid}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(STOP_TIMEOUT_S)

    async def run(self, questions: Sequence[Question]) -> Outcome:
        spans: list[tuple[float, float]] = []
        read, written = [], []
        left = iter(questions)
        connector = aiohttp.TCPConnector(limit=self._setup.window)
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{self._port}", connector=connector, timeout=timeout
        ) as session:
            started = time.perf_counter()

            async def work(left: Iterator[Question]) -> None:
                for question in left:
                    sent = time.perf_counter()
                    body = {"model": "model", "prompt": question.prompt, **question.sampling}
                    async with session.post("/v1/completions", json=body) as answer:
                        if answer.status != 200:
                            raise RuntimeError(f"{answer.status}: {(await answer.text())[:300]}")
                        usage = (await answer.json())["usage"]
                    spans.append((sent - started, time.perf_counter() - started))
                    read.append(usage["prompt_tokens"])
                    written.append(usage["completion_tokens"])

            async with asyncio.TaskGroup() as group:
                for _ in range(self._setup.window):
                    group.create_task(work(left))
            seconds = time.perf_counter() - started
        return Outcome(seconds, len(spans), sum(read), sum(written), spans)
