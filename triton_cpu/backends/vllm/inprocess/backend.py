"""One vLLM model behind Triton's calls: requests in, responses out, whatever happens to the engine."""

from __future__ import annotations

import atexit
import gc
import itertools
import json
import os
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.v1.engine.llm_engine import LLMEngine

import replacements
from inprocess.engine import EngineThread
from inprocess.generation import FINAL, Generation, sentence
from inprocess.metrics import MetricsReporter
from inprocess.tokenizing import Tokenize, direct

UNHEALTHY = "Model is unavailable due to unhealthy vLLM engine"
DEFAULT_MAX_PENDING = 20_000
DEFAULT_CLOSE_TIMEOUT_S = 5.0
ERROR_PAUSE_S, MAX_PAUSES_S = 0.01, 1.0
UNLOAD_AGAIN_S, MAX_UNLOAD_AGAIN_S = 0.5, 30.0
MAX_SEQUENCES = "128"
"""Of one request (``n``), unless VLLM_MAX_N_SEQUENCES says otherwise: all others wait while they are made."""


def unavailable(message: str) -> Any:
    return pb_utils.TritonError(message, pb_utils.TritonError.UNAVAILABLE)


def failed(error: object) -> Any:
    """The error of one request, in the words of Triton's vLLM backend."""
    return pb_utils.TritonError(f"Error generating stream: {sentence(error)}")


class Backend:
    """One vLLM engine. Parameters in config.pbtxt, besides NVIDIA's: MAX_PENDING_REQUESTS.

    In the environment, CPU_REPLACEMENTS names the replacements of vLLM's functions (``triton_cpu.settings``).
    """

    def __init__(self, args: dict[str, str]) -> None:
        self._name = args["model_name"]
        self._parameters = json.loads(args["model_config"]).get("parameters", {})
        engine_args = self._read_engine_args()
        self._ids = itertools.count()
        # As in Triton's vLLM backend: without it, a model whose engine has failed stays loaded.
        self._checks_health = self._parameter("ENABLE_VLLM_HEALTH_CHECK").lower() == "true"
        self._unload_lock, self._unloaded = threading.Lock(), False
        self._unload_again_s, self._unload_at = UNLOAD_AGAIN_S, 0.0
        self._metrics: MetricsReporter | None = None
        self._tokenize: Tokenize | None = None
        if self._parameter("REPORT_CUSTOM_METRICS").lower() == "true" and not engine_args.disable_log_stats:
            self._metrics = MetricsReporter({"model": self._name, "version": args["model_version"]})
        else:
            # Nobody would see vLLM's statistics: don't gather them.
            engine_args.disable_log_stats = True
        max_pending = int(self._parameter("MAX_PENDING_REQUESTS") or DEFAULT_MAX_PENDING)
        os.environ.setdefault("VLLM_MAX_N_SEQUENCES", MAX_SEQUENCES)
        replacements.apply(filter(None, os.environ.get("CPU_REPLACEMENTS", "").split(",")))
        self._engine = EngineThread(lambda: self._build(engine_args), self, max_pending=max_pending)
        # What is loaded by now stays until the end: the collector need not walk it again.
        gc.collect()
        gc.freeze()

    def _parameter(self, name: str) -> str:
        return str(self._parameters.get(name, {}).get("string_value", ""))

    def _read_engine_args(self) -> AsyncEngineArgs:
        path = Path(pb_utils.get_model_dir()) / "model.json"
        if not path.is_file():
            raise pb_utils.TritonModelException(f"{path} with vLLM's engine arguments is missing.")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if str(values.get("enable_lora", "false")).lower() == "true":
                raise pb_utils.TritonModelException("LoRA adapters are not supported on the CPU.")
            # vLLM's own choice follows the first constraint, which can be one that others don't fit.
            values.setdefault("structured_outputs_config", {"backend": "xgrammar"})
            return AsyncEngineArgs(**values)
        except (TypeError, ValueError) as error:
            raise pb_utils.TritonModelException(f"{path} can't be used: {error}") from error

    def _build(self, engine_args: AsyncEngineArgs) -> LLMEngine:
        engine = self._build_with_metrics(engine_args)
        self._tokenize = direct(engine.get_tokenizer())
        return engine

    def _build_with_metrics(self, engine_args: AsyncEngineArgs) -> LLMEngine:
        if self._metrics is not None:
            try:
                return LLMEngine.from_engine_args(engine_args, stat_loggers=[self._metrics])
            except pb_utils.TritonModelException as error:
                if "metrics not supported" not in str(error):
                    raise
                pb_utils.Logger.log_info("[vllm] Metrics not supported")
                self._metrics, engine_args.disable_log_stats = None, True
        return LLMEngine.from_engine_args(engine_args)

    def execute(self, requests: list[Any]) -> None:
        """Take requests in; each gets its responses from the sender's thread, the last one final."""
        for request in requests:
            if self._engine.healthy:
                self._take(request)
            else:
                self._unload()
                self._refuse(request, unavailable(UNHEALTHY))

    def _take(self, request: Any) -> None:
        try:
            generation = Generation(request, str(next(self._ids)), self._tokenize)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one request ends that one only
            self._refuse(request, failed(error))
            return
        if self._engine.submit(generation):
            return
        if self._engine.healthy:
            generation.fail(unavailable("Too many requests wait already: try again later."))
        else:
            self._unload()
            generation.fail(unavailable(UNHEALTHY))

    def _refuse(self, request: Any, error: Any) -> None:
        request.get_response_sender().send(pb_utils.InferenceResponse(error=error), flags=FINAL)

    # --- told by the engine, in the sender's thread ---

    def output(self, generation: Generation, output: Any) -> None:
        try:
            if output.finished and self._metrics is not None:
                self._metrics.report(busy=self._engine.busy)
        except Exception:  # noqa: BLE001  an answer is worth more than its figures
            pb_utils.Logger.log_error(f"[vllm] Metrics can't be reported: {traceback.format_exc()}")
        try:
            generation.respond(output)
        except Exception as error:  # noqa: BLE001  a response that can't be built must still end its request
            pb_utils.Logger.log_error(f"[vllm] Error generating stream: {traceback.format_exc()}")
            generation.fail(failed(error))

    def rest(self) -> None:
        """Do what can wait."""
        if not self._engine.healthy:
            self._unload()
        if self._metrics is not None:
            self._metrics.rest(busy=self._engine.busy)

    def refused(self, generation: Generation, error: Exception) -> None:
        generation.fail(failed(error))

    def is_cancelled(self, generation: Generation) -> bool:
        if not generation.sender.is_cancelled():
            return False
        pb_utils.Logger.log_info("[vllm] Cancelling the request")
        return True

    def cancelled(self, generation: Generation) -> None:
        pb_utils.Logger.log_info("[vllm] Successfully cancelled the request")
        generation.fail(pb_utils.TritonError("Request was cancelled", pb_utils.TritonError.CANCELLED))

    def engine_failed(self, generations: list[Generation], error: BaseException) -> None:
        trace = "".join(traceback.format_exception(error))
        what_follows = "model will be unloaded" if self._checks_health else "stays loaded (no health check)"
        pb_utils.Logger.log_error(f"[vllm] Engine is not healthy and {what_follows}: {trace}")
        # Before anybody hears of it: who asks then whether the model is ready gets the truth.
        self._unload()
        for generation in generations:
            generation.fail(unavailable(f"{UNHEALTHY}: {sentence(error)}"))
            # Triton 24.10 aborts now and then when errors meet on one gRPC stream.
            time.sleep(min(ERROR_PAUSE_S, MAX_PAUSES_S / len(generations)))

    def _unload(self) -> None:
        """Have the server take the model out of service, so that its readiness says what is true.

        Returns when it is so. Where the server refuses, it is asked again, less and less often, however many
        requests come.
        """
        with self._unload_lock:
            if self._unloaded or not self._checks_health or time.monotonic() < self._unload_at:
                return
            try:
                pb_utils.unload_model(self._name)
                self._unloaded = True
            except Exception as error:  # noqa: BLE001  the requests must be answered all the same
                pb_utils.Logger.log_error(f"[vllm] The model can't be unloaded yet: {error}")
                self._unload_at = time.monotonic() + self._unload_again_s
                self._unload_again_s = min(2 * self._unload_again_s, MAX_UNLOAD_AGAIN_S)

    def close(self) -> None:
        """End what runs, answer what is left, and let go of the engine's memory."""
        pb_utils.Logger.log_info("[vllm] Issuing finalize to vllm backend")
        for generation in self._engine.close(DEFAULT_CLOSE_TIMEOUT_S):
            generation.fail(unavailable("The model is being unloaded: try again later."))
        if self._metrics is not None:
            self._metrics.close()
        # Taking torch and vLLM apart would keep the interpreter busy for seconds, for nothing.
        atexit.register(os._exit, 0)
