"""Our Triton ensemble: over one gRPC stream, and as the whole service from POST to the last event."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from benchmarks.bare import BareClient
from benchmarks.client import Client
from benchmarks.questions import FREE, Question, overlay
from benchmarks.sides.side import READY_TIMEOUT_S, STOP_TIMEOUT_S, Outcome, Setup
from local_stack.child import Child
from local_stack.readiness import wait_ready
from testkit.service import Service
from testkit.triton import ADMIN_KEY, TritonProcess
from triton_common.repository import lay_out
from triton_common.server import Ports, command
from triton_cpu.serve import remove_stale_memory

IN_IMAGE = Path("/opt/tritonserver")
BATCH = 10
COUNTERS = {
    "requests": "vllm:e2e_request_latency_seconds_count",
    "input_tokens": "vllm:prompt_tokens_total",
    "output_tokens": "vllm:generation_tokens_total",
}
COUNTED_TIMEOUT_S = 10.0


class ImageTriton(TritonProcess):
    """The server of NVIDIA's image, where this benchmark then runs too."""

    def __init__(self, setup: Setup, run_dir: Path, laid_over: Path | None) -> None:
        super().__init__(run_dir, environment=FREE)
        self._engine_args, self._overlay = setup.engine_args, laid_over

    @property
    def command(self) -> list[str]:
        repository = lay_out(self.run_dir / "model_repository", self._engine_args, overlay=self._overlay)
        ports = Ports(self.grpc_port, self.metrics_port, self.http_port)
        server, backends = IN_IMAGE / "bin" / "tritonserver", IN_IMAGE / "backends"
        return command(server, repository, backends, "127.0.0.1", ports, admin_key=ADMIN_KEY)


def make_server(setup: Setup, run_dir: Path) -> TritonProcess:
    """A Triton with the real model, which answers as ``setup`` says."""
    laid_over = None if setup.tokens is None else overlay(run_dir / "overlay", setup.tokens)
    if setup.device == "cuda":
        return ImageTriton(setup, run_dir, laid_over)
    more = [] if laid_over is None else ["--overlay", str(laid_over)]
    # All that the model's settings say is in engine_args, and what is there wins over the settings.
    environment = {"MODEL_NAME": setup.model, "EXTRA_ENGINE_ARGS": json.dumps(dict(setup.engine_args))}
    return TritonProcess(run_dir, more, {**environment, **setup.engine_environment, **FREE})


class Counted:
    """What the engine behind a Triton has done since ``start``, as its metrics say."""

    def __init__(self, server: TritonProcess) -> None:
        self._server = server
        self._before: Mapping[str, float] = {}

    async def start(self) -> None:
        self._before = await asyncio.to_thread(self._server.metrics, "vllm:")

    async def read(self, at_least: int) -> dict[str, int]:
        """Requests and tokens. A thread of its own counts them: as many requests are waited for."""
        deadline = time.monotonic() + COUNTED_TIMEOUT_S
        while True:
            now = await asyncio.to_thread(self._server.metrics, "vllm:")
            told = {name: int(now[key] - self._before.get(key, 0)) for name, key in COUNTERS.items()}
            if told["requests"] >= at_least or time.monotonic() > deadline:
                return told
            # Metrics can only be asked for.
            await asyncio.sleep(0.05)


class Stream:
    """The ensemble over one gRPC stream, with a fixed number in flight or, in lockstep, ten by ten."""

    def __init__(self, setup: Setup, *, lockstep: bool = False) -> None:
        self.roots: dict[str, int] = {}
        run_dir = setup.folder / ("lockstep" if lockstep else "stream")
        self._server = server = make_server(setup, run_dir)
        self._triton = Child("Triton", server.command, server.environment, run_dir / "triton.log")
        self._client = BareClient(server.grpc_url, BATCH if lockstep else setup.window, lockstep=lockstep)
        self._counted = Counted(server)

    async def __aenter__(self) -> Self:
        await self._triton.start()
        try:
            ready = f"{self._server.http_url}/v2/health/ready"
            await wait_ready(self._triton, ready, READY_TIMEOUT_S, lambda _: None)
        except BaseException:
            await self.__aexit__()
            raise
        self.roots = {"tritonserver": self._triton.pid}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._triton.stop(STOP_TIMEOUT_S)
        remove_stale_memory(f"avalua-{self._server.http_port}-")

    async def run(self, questions: Sequence[Question]) -> Outcome:
        await self._counted.start()
        started = time.perf_counter()
        answers = await self._client.ask([question.item for question in questions])
        seconds = time.perf_counter() - started
        told = await self._counted.read(len(questions))
        return Outcome(
            seconds,
            **told,
            spans=[(sent - started, done - started) for _, sent, done in answers],
            graded=sum(mark >= 0 for mark, _, _ in answers),
        )


class Whole:
    """The whole service: one POST with all the items, and the events read to the last."""

    def __init__(self, setup: Setup) -> None:
        self.roots: dict[str, int] = {}
        run_dir = setup.folder / "whole"
        self._service = Service(
            run_dir,
            server=make_server(setup, run_dir / "triton"),
            settings={
                "MAX_ITEMS": str(max(2000, setup.items)),
                "MAX_IN_FLIGHT": str(setup.window),
                "BATCH_SIZE": str(BATCH),
                # As many requests as on the other sides: no second attempts, and no probes but the first.
                "MAX_ATTEMPTS": "1",
                "PROBE_INTERVAL_S": "86400",
            },
        )
        self._counted = Counted(self._service.server)

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        self.roots = {
            "tritonserver": self._service.triton_pid,
            "orchestrator": self._service.orchestrator_pid,
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._service.__aexit__(None, None, None)

    async def run(self, questions: Sequence[Question]) -> Outcome:
        client = Client(self._service.port)
        heard: list[float] = []
        await self._counted.start()
        started = time.monotonic()
        job_id = await client.submit([question.item for question in questions])
        await client.follow(job_id, lambda _, at: heard.append(at - started))
        seconds = time.monotonic() - started
        told = await self._counted.read(len(questions))
        results = await client.results(job_id)
        if len(results) != len(questions):
            raise RuntimeError(f"{len(results)} results for {len(questions)} items")
        # All were sent at the beginning; each event but the last carries a batch.
        return Outcome(
            seconds,
            **told,
            spans=[(0.0, heard[number // BATCH]) for number in range(len(questions))],
            graded=sum(row["status"] == "ok" for row in results),
        )
