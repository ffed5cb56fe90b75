"""vLLM's statistics as Triton custom metrics, under the names that Triton's vLLM backend uses.

How full the KV cache is comes on top: that backend keeps it to itself. The name is vLLM's own.

Each observation is a call into the server's process: 11 us of this one's time, and 29 us until it returns,
with both cores free. The thread that sends the answers makes them, before it sends: who has an answer finds
it in the metrics. Tokens of an answer that nobody streams count when it is done.
"""

from __future__ import annotations

import queue
import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import triton_python_backend_utils as pb_utils
from vllm.v1.metrics.loggers import StatLoggerBase

MAX_QUEUED = 100_000
"""Engine steps that may wait; beyond that they are dropped and counted, so memory stays bounded."""
SHARE = 0.002
"""How much of a busy server's time goes into observing the times between tokens ..."""
MAX_CREDIT_S = 0.02
"""... and how much of that can be saved up."""
MAX_DELAY_S = 0.05
"""How long the last answer of a server that was busy waits, at most, for what was put off."""
CHUNK = 16
"""Observations between two looks at the clock."""

TTFT_S = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
PER_TOKEN_S = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5]
E2E_S = [1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0]


def token_buckets(maximum: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... up to ``maximum``."""
    steps = (mantissa * 10**exponent for exponent in range(len(str(maximum))) for mantissa in (1, 2, 5))
    return [step for step in steps if step <= maximum]


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
        self.per_token = self._histogram(
            "time_per_output_token_seconds",
            "Time between output tokens in seconds. What a busy server puts off comes when it rests.",
            PER_TOKEN_S,
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


class Gaps:
    """Times between tokens that are not observed yet: for each bucket how many there are, and their sum.

    Each is observed as the mean of those in its bucket, which leaves a histogram as their own values would.
    """

    def __init__(self, bounds: list[float]) -> None:
        self._bounds = bounds
        self._counts, self._sums = [0] * (len(bounds) + 1), [0.0] * (len(bounds) + 1)
        self._left = 0

    def __len__(self) -> int:
        return self._left

    def add(self, values: list[float]) -> None:
        for value in values:
            bucket = bisect_left(self._bounds, value)
            self._counts[bucket] += 1
            self._sums[bucket] += value
        self._left += len(values)

    def take(self, most: int) -> Iterator[float]:
        """Up to ``most`` of them, which are no longer here then."""
        for bucket, count in enumerate(self._counts):
            taken = min(count, most)
            if taken:
                mean = self._sums[bucket] / count
                self._counts[bucket] -= taken
                self._sums[bucket] -= taken * mean
                self._left -= taken
                most -= taken
                # A sum is rounded, and its mean must not get into the next bucket by that.
                yield from [min([mean, *self._bounds[bucket : bucket + 1]])] * taken


class MetricsReporter:
    """Makes the stat loggers that vLLM asks for, and passes on what they record."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._families: Families | None = None
        self._queue: queue.Queue[Any] = queue.Queue(MAX_QUEUED)
        self._dropped = 0
        self._gaps = Gaps(PER_TOKEN_S)
        self._credit_s, self._credited_at = MAX_CREDIT_S, time.monotonic()
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

        Times between tokens are as many calls as tokens: while the server is ``busy``, others wait for the
        two cores that these calls take, so they get a small share of the time, saved up beforehand or now.
        """
        families = self._families
        if families is None:
            return
        batch = []
        while not self._queue.empty():
            batch.append(self._queue.get())
        if batch:
            self._report_batch(families, batch)
        self._observe_gaps(families, self._credit() if busy else MAX_DELAY_S)

    def rest(self, *, busy: bool) -> bool:
        """Report, and say whether there is more to report for who has nothing else to do."""
        self.report(busy=busy)
        families, usage = self._families, self._kv_cache_usage
        if families is not None and usage != self._kv_cache_told:
            families.kv_cache.set(usage)
            self._kv_cache_told = usage
        return not busy and len(self._gaps) > 0

    def close(self) -> None:
        """Report what still waits, and take the metrics back.

        A metric that outlives this crashes the process: it would be taken back after its link is gone.
        """
        self.report(busy=False)
        self._families = None

    def _credit(self) -> float:
        now = time.monotonic()
        earned = (now - self._credited_at) * SHARE
        self._credit_s, self._credited_at = min(MAX_CREDIT_S, self._credit_s + earned), now
        return self._credit_s

    def _observe_gaps(self, families: Families, seconds: float) -> None:
        started = time.monotonic()
        spent = 0.0
        while self._gaps and spent < seconds:
            for value in self._gaps.take(CHUNK):
                families.per_token.observe(value)
            spent = time.monotonic() - started
        self._credit_s -= spent

    def _report_batch(self, families: Families, batch: list[Any]) -> None:
        for counter, total in (
            (families.prompt_tokens, sum(stats.num_prompt_tokens for stats in batch)),
            (families.generation_tokens, sum(stats.num_generation_tokens for stats in batch)),
        ):
            if total:
                counter.increment(total)
        for stats in batch:
            self._gaps.add(stats.inter_token_latencies_iter)
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
