"""vLLM's statistics as Triton custom metrics, under the names that Triton's vLLM backend uses.

How full the KV cache is comes on top: that backend keeps it to itself. The name is vLLM's own.

Each observation is a call into the server's process: 11 us of this one's time, and 29 us until it returns,
with both cores free. The thread that sends the answers makes them, before it sends: who has an answer finds
it in the metrics. Tokens of an answer that nobody streams count when it is done.

The times between tokens are too many for that: their histogram is kept here, and its series are counters to
Triton, which can be raised by many at once. The page has the same lines for them as for a histogram.
"""

from __future__ import annotations

import queue
import time
from bisect import bisect_left
from itertools import accumulate
from typing import Any

import triton_python_backend_utils as pb_utils
from vllm.v1.metrics.loggers import StatLoggerBase

MAX_QUEUED = 100_000
"""Engine steps that may wait; beyond that they are dropped and counted, so memory stays bounded."""
BUSY_INTERVAL_S = 0.1
"""How often a busy server tells the times between tokens; one that rests tells them with the answer."""

TTFT_S = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
PER_TOKEN_S = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5]
E2E_S = [1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0]


def token_buckets(maximum: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... up to ``maximum``."""
    steps = (mantissa * 10**exponent for exponent in range(len(str(maximum))) for mantissa in (1, 2, 5))
    return [step for step in steps if step <= maximum]


class Series:
    """A histogram as the series that it has on the page, counters all. What is added is told at once."""

    def __init__(self, bounds: list[float], buckets: list[Any], total: Any, count: Any) -> None:
        """``buckets`` are the counters of ``bounds`` and of what is beyond the last one."""
        self._bounds = bounds
        self._buckets, self._total, self._count = buckets, total, count
        self._clear()

    def _clear(self) -> None:
        self._added, self._sum = [0] * len(self._buckets), 0.0

    def add(self, values: list[float]) -> None:
        for value in values:
            self._added[bisect_left(self._bounds, value)] += 1
        self._sum += sum(values)

    def tell(self) -> None:
        """Raise the counters by what was added; a bucket's holds all that is below its bound."""
        below = list(accumulate(self._added))
        if below[-1]:
            for bucket, added in zip(self._buckets, below, strict=True):
                if added:
                    bucket.increment(added)
            self._total.increment(self._sum)
            self._count.increment(below[-1])
            self._clear()


class Families:
    """The metric families of one model. Raises TritonModelException where the server has metrics off."""

    def __init__(self, labels: dict[str, str], max_model_len: int) -> None:
        self._labels = labels
        # A metric lives only as long as its family.
        self._families: list[Any] = []
        tokens = token_buckets(max_model_len)
        self.prompt_tokens = self._counter("prompt_tokens_total", "Prefill tokens processed.")
        self.generation_tokens = self._counter("generation_tokens_total", "Generated tokens.")
        self.first_token = self._histogram(
            "time_to_first_token_seconds", "Time to the first token in seconds.", TTFT_S
        )
        self.per_token = self._series(
            "time_per_output_token_seconds", "Time between output tokens in seconds.", PER_TOKEN_S
        )
        self.e2e = self._histogram(
            "e2e_request_latency_seconds", "A request's time in the engine in seconds.", E2E_S
        )
        self.request_prompt = self._histogram("request_prompt_tokens", "Prompt tokens of a request.", tokens)
        self.request_generation = self._histogram(
            "request_generation_tokens", "Generated tokens of a request.", tokens
        )
        self.kv_cache = self._family(
            "kv_cache_usage_perc",
            "Share of the KV cache in use, 1 when it is full.",
            pb_utils.MetricFamily.GAUGE,
        ).Metric(labels=labels)
        self.request_n = self._histogram("request_params_n", "A request's parameter n.", [1, 2, 5, 10, 20])

    def _family(self, name: str, description: str, kind: Any) -> Any:
        family = pb_utils.MetricFamily(name=f"vllm:{name}", description=description, kind=kind)
        self._families.append(family)
        return family

    def _counter(self, name: str, description: str) -> Any:
        return self._family(name, description, pb_utils.MetricFamily.COUNTER).Metric(labels=self._labels)

    def _histogram(self, name: str, description: str, buckets: list[Any]) -> Any:
        family = self._family(name, description, pb_utils.MetricFamily.HISTOGRAM)
        return family.Metric(labels=self._labels, buckets=buckets)

    def _series(self, name: str, description: str, bounds: list[float]) -> Series:
        family = self._family(f"{name}_bucket", description, pb_utils.MetricFamily.COUNTER)
        edges = [*(f"{bound:g}" for bound in bounds), "+Inf"]
        buckets = [family.Metric(labels={**self._labels, "le": edge}) for edge in edges]
        total, count = (self._counter(f"{name}_{part}", description) for part in ("sum", "count"))
        return Series(bounds, buckets, total, count)


class MetricsReporter:
    """Makes the stat loggers that vLLM asks for, and passes on what they record."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._families: Families | None = None
        self._queue: queue.Queue[Any] = queue.Queue(MAX_QUEUED)
        self._dropped = 0
        self._told_at = 0.0
        self._kv_cache_usage = 0.0
        self._kv_cache_told = -1.0

    def __call__(self, vllm_config: Any, engine_index: int) -> StatLogger:
        """Make the logger for one engine (vLLM's StatLoggerFactory)."""
        self._families = Families(self._labels, vllm_config.model_config.max_model_len)
        return StatLogger(self, vllm_config, engine_index)

    def record(self, stats: Any, kv_cache_usage: float | None) -> None:
        """Queue one engine step's IterationStats. Of how full the cache is, only the newest word counts."""
        if kv_cache_usage is not None:
            self._kv_cache_usage = kv_cache_usage
        try:
            self._queue.put_nowait(stats)
        except queue.Full:
            self._dropped += 1
            if self._dropped == 1:
                pb_utils.Logger.log_warn("[vllm] Metrics can't keep up with the engine: some are dropped.")

    # --- one thread calls these ---

    def report(self, *, busy: bool) -> None:
        """Report what the engine has recorded, before the answers that it is about.

        While the server is ``busy``, others wait for the cores that the calls take: times between tokens are
        then told a few times a second.
        """
        families = self._families
        if families is None:
            return
        batch = []
        while not self._queue.empty():
            batch.append(self._queue.get())
        if batch:
            self._report_batch(families, batch)
        now = time.monotonic()
        if not busy or now - self._told_at >= BUSY_INTERVAL_S:
            families.per_token.tell()
            self._told_at = now

    def rest(self, *, busy: bool) -> None:
        """Report, and what can wait until there is nothing else to do."""
        self.report(busy=busy)
        families, usage = self._families, self._kv_cache_usage
        if families is not None and usage != self._kv_cache_told:
            families.kv_cache.set(usage)
            self._kv_cache_told = usage

    def close(self) -> None:
        """Report what still waits, and take the metrics back.

        A metric that outlives this crashes the process: it would be taken back after its link is gone.
        """
        self.report(busy=False)
        self._families = None

    def _report_batch(self, families: Families, batch: list[Any]) -> None:
        for counter, total in (
            (families.prompt_tokens, sum(stats.num_prompt_tokens for stats in batch)),
            (families.generation_tokens, sum(stats.num_generation_tokens for stats in batch)),
        ):
            if total:
                counter.increment(total)
        for stats in batch:
            families.per_token.add(stats.inter_token_latencies_iter)
            finished = stats.finished_requests
            for histogram, values in (
                (families.first_token, stats.time_to_first_tokens_iter),
                (families.e2e, [one.e2e_latency for one in finished]),
                (families.request_prompt, [one.num_prompt_tokens for one in finished]),
                (families.request_generation, [one.num_generation_tokens for one in finished]),
                (families.request_n, stats.n_params_iter),
            ):
                for value in values:
                    histogram.observe(value)


class StatLogger(StatLoggerBase):  # type: ignore[misc]  # vLLM is not installed where types are checked
    """vLLM's side: called by the engine after each step."""

    def __init__(self, reporter: MetricsReporter, vllm_config: Any, engine_index: int = 0) -> None:
        del vllm_config, engine_index
        self._reporter = reporter

    def record(
        self,
        scheduler_stats: Any,
        iteration_stats: Any,
        mm_cache_stats: Any = None,
        engine_idx: int = 0,
    ) -> None:
        del mm_cache_stats, engine_idx
        if iteration_stats is not None:
            self._reporter.record(
                iteration_stats, scheduler_stats.kv_cache_usage if scheduler_stats else None
            )

    def log_engine_initialized(self) -> None:
        """Nothing to say: the server logs that the model is ready."""
