"""``python -m benchmarks.ensemble``: the Triton ensemble against vLLM's ``LLM.generate``, in one run.

The same items go in turn through both: over one gRPC stream with a fixed number in flight, and all at
once through the engine in its own process. Rounds alternate, so that a slow minute of the machine
meets both; the figure to trust is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tritonclient import grpc

from demo_model.dataset import items
from demo_model.phrases import Side
from tests.triton_process import ROOT, SERVER_PYTHON, TEST_MODEL, TritonProcess
from triton_common.settings import ModelSettings

FIELDS = ("curso", "consigna", "respuesta")
TIMEOUT_S = 900.0
# Both engines alike: as many threads as `triton_cpu` gives the model, nothing compiled, free to write.
THREADS = str(max(1, len(os.sched_getaffinity(0)) - 1))
ENGINE_ENVIRONMENT = {"OMP_NUM_THREADS": THREADS, "TORCHDYNAMO_DISABLE": "1"}
FREE = {"CONSTRAINED_OUTPUT": "false", "CONFIDENCE": "false"}


def beside_preprocess(name: str) -> ModuleType:
    """A module that lies beside the preprocess model, which is no package."""
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "model_repository" / "preprocess" / "1" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Ensemble:
    """A client of the ensemble with a fixed window."""

    def __init__(self, url: str, window: int) -> None:
        self._client = grpc.InferenceServerClient(url)
        self._window = threading.Semaphore(window)
        self._done = threading.Semaphore(0)
        self.output_tokens = 0
        self.errors: list[str] = []
        self._client.start_stream(self._receive)

    def _receive(self, result: Any, error: Any) -> None:
        if error is not None:
            self.errors.append(str(error))
        else:
            self.output_tokens += int(result.as_numpy("num_output_tokens")[0])
        self._window.release()
        self._done.release()

    def grade(self, texts: list[dict[str, str]]) -> dict[str, float]:
        """Send all ``texts``; seconds until the last answer, and the tokens that were generated."""
        self.output_tokens = 0
        started = time.perf_counter()
        for number, text in enumerate(texts):
            inputs = [grpc.InferInput(name, [1], "BYTES") for name in FIELDS]
            for tensor, name in zip(inputs, FIELDS, strict=True):
                tensor.set_data_from_numpy(np.array([text[name].encode()], dtype=np.object_))
            assert self._window.acquire(timeout=TIMEOUT_S)
            self._client.async_stream_infer("evaluate", inputs, request_id=str(number))
        for _ in texts:
            assert self._done.acquire(timeout=TIMEOUT_S)
        if self.errors:
            raise RuntimeError(f"{len(self.errors)} items failed, the first with: {self.errors[0]}")
        return {"seconds": time.perf_counter() - started, "output_tokens": self.output_tokens}

    def close(self) -> None:
        self._client.stop_stream()
        self._client.close()


class InProcess:
    """``LLM.generate`` in a process of the server's environment."""

    def __init__(self, engine_args: dict[str, Any], work: list[tuple[str, dict[str, Any]]]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [str(SERVER_PYTHON), "-m", "benchmarks.inprocess", json.dumps(engine_args)],
            cwd=ROOT,
            env={**os.environ, **ENGINE_ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._say(json.dumps(work))
        self._hear()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(self._log.read()[-2000:].decode(errors="replace"))
        heard: dict[str, float] = json.loads(line)
        return heard

    def grade(self) -> dict[str, float]:
        """One round over all the prompts."""
        self._say("go")
        return self._hear()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._log.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=160, help="items in flight")
    args = parser.parse_args()
    texts = [item.request() for item in items(Side.HELD_OUT, args.items)]
    prompt, sampling = beside_preprocess("prompt"), beside_preprocess("sampling")
    fields = [tuple(text[name] for name in FIELDS) for text in texts]
    work = [
        (prompt.build_prompt(*three), sampling.sampling_parameters(*three, attempt=1)) for three in fields
    ]
    engine_args = ModelSettings.from_env({**os.environ, "MODEL_NAME": str(TEST_MODEL)}).engine_args("cpu")

    with tempfile.TemporaryDirectory() as folder:
        server = TritonProcess.vllm(Path(folder), {**ENGINE_ENVIRONMENT, **FREE})
        server.start()
        in_process = InProcess(engine_args, work)
        ensemble = Ensemble(server.grpc_url, args.window)
        try:
            ensemble.grade(texts[:16])
            rates: dict[str, list[float]] = {"LLM.generate": [], "ensemble": []}
            for number in range(1, args.rounds + 1):
                for name, measure in (
                    ("LLM.generate", in_process.grade),
                    ("ensemble", lambda: ensemble.grade(texts)),
                ):
                    measured = measure()
                    rates[name].append(args.items / measured["seconds"])
                    print(
                        f"round {number}: {name:<13} {rates[name][-1]:6.1f} items/s, "
                        f"{measured['output_tokens'] / args.items:.1f} tokens an item",
                        flush=True,
                    )
        finally:
            ensemble.close()
            in_process.close()
            server.stop()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratio = medians["ensemble"] / medians["LLM.generate"]
    print(
        f"\nmedian of {args.rounds}: LLM.generate {medians['LLM.generate']:.1f}, ensemble with {args.window} "
        f"in flight {medians['ensemble']:.1f} items/s: ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
