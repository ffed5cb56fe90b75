"""Run in the server's environment: an engine that tells and schedules with less work, beside vLLM's own."""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", TORCHDYNAMO_DISABLE="1", OMP_NUM_THREADS="1")

from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.sampling_params import RequestOutputKind
from vllm.v1.core.kv_cache_manager import KVCacheManager
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.engine.output_processor import OutputProcessor
from vllm.v1.metrics.loggers import StatLoggerBase

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "triton_cpu" / "backends" / "vllm"))
sys.path.insert(0, str(ROOT / "model_repository" / "preprocess" / "1"))

logprobs = import_module("inprocess.logprobs")
held = import_module("inprocess.held")
scheduling = import_module("inprocess.scheduling")
tokenizing = import_module("inprocess.tokenizing")
settings = import_module("triton_common.settings")
prompt = import_module("prompt")

BATCH = 32
TEXTS = [
    prompt.build_prompt("3r ESO", "Explica la pluja.", f"El vapor puja {number} metres i plou.")
    for number in range(24)
]


class Recorder(StatLoggerBase):  # type: ignore[misc]  # vLLM is not installed where types are checked
    """Adds up what vLLM counts."""

    counted: ClassVar[Counter[str]] = Counter()

    def __init__(self, config: Any, engine_index: int = 0) -> None:
        del config, engine_index

    def record(self, scheduler_stats: Any, iteration_stats: Any, *others: Any, **named: Any) -> None:
        del scheduler_stats, others, named
        if iteration_stats is not None:
            self.counted["prompt"] += iteration_stats.num_prompt_tokens
            self.counted["generation"] += iteration_stats.num_generation_tokens
            self.counted["first"] += len(iteration_stats.time_to_first_tokens_iter)
            for request in iteration_stats.finished_requests:
                self.counted["finished"] += 1
                self.counted["of finished"] += request.num_generation_tokens
                assert 0 <= request.decode_time <= request.e2e_latency

    def log_engine_initialized(self) -> None:
        """Nothing to say."""


@dataclass
class Told:
    """What one run of an engine gave: everything that a client could see, and what it took."""

    answers: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    blocks_kept: int = 0


def wishes(number: int) -> SamplingParams:
    """Finished answers and streams, with and without log-probabilities, a text to stop at, several."""
    kinds: list[dict[str, Any]] = [
        {},
        {"logprobs": 3},
        {"stop": ["a", "e"]},
        {"output_kind": RequestOutputKind.DELTA, "logprobs": 2},
        {"n": 2},
        {"max_tokens": 1, "logprobs": 0},
    ]
    common = {
        "temperature": 0.8,
        "seed": number,
        "max_tokens": 70,
        "output_kind": RequestOutputKind.FINAL_ONLY,
    }
    return SamplingParams(**{**common, **kinds[number % len(kinds)]})


def run(engine: Any) -> Told:
    """All texts at once, one of them taken back on the way."""
    told = Told()
    Recorder.counted.clear()
    pool = engine.engine_core.engine_core.scheduler.kv_cache_manager.block_pool
    free = pool.get_num_free_blocks()
    for number, text in enumerate(TEXTS):
        engine.add_request(str(number), text, wishes(number))
    steps = 0
    while engine.has_unfinished_requests():
        for output in engine.step():
            for one in output.outputs:
                told.answers.setdefault(output.request_id, []).append((
                    one.index, one.text, tuple(one.token_ids), one.finish_reason, one.stop_reason,
                    logprobs.as_json(one.logprobs), one.cumulative_logprob,
                    output.num_cached_tokens, output.finished,
                ))  # fmt: skip
        steps += 1
        if steps == 5:
            engine.abort_request(["0"])
    assert not engine.output_processor.request_states
    assert pool.get_num_free_blocks() == free
    told.counted = Counter(Recorder.counted)
    told.blocks_kept = len(pool.cached_block_hash_to_block)
    assert engine.reset_prefix_cache()
    return told


def noting(wrapped: Any, noted: Counter[str], name: str) -> Any:
    """Counts the outputs or calls that reach vLLM's own."""

    def note(first: Any, second: Any, *others: Any, **named: Any) -> Any:
        noted[name] += len(second) if isinstance(second, list) else 1
        return wrapped(first, second, *others, **named)

    return note


def compare_engines(model: str) -> None:
    """The same answers, counts and kept blocks, with a fraction of the calls."""
    arguments = settings.ModelSettings.from_env({"MODEL_NAME": model, "MAX_NUM_SEQS": str(BATCH)})
    engine_arguments = AsyncEngineArgs(**arguments.engine_args("cpu"))
    engine = LLMEngine.from_engine_args(engine_arguments, stat_loggers=[Recorder])
    logprobs.keep_as_numbers()
    noted: Counter[str] = Counter()
    theirs = noting(OutputProcessor.process_outputs, noted, "outputs")
    allocate = noting(KVCacheManager.allocate_slots, noted, "slots")
    OutputProcessor.process_outputs, KVCacheManager.allocate_slots = theirs, allocate
    expected, calls = run(engine), Counter(noted)
    noted.clear()
    OutputProcessor.process_outputs = held.holding(theirs)
    KVCacheManager.allocate_slots = scheduling.allocating_by_block(allocate)
    found = run(engine)
    assert found.answers.keys() == {str(number) for number in range(1, len(TEXTS))}
    for request, answer in expected.answers.items():
        assert found.answers[request] == answer, (request, found.answers[request], answer)
    # Tokens of the answer that was taken back are not counted: nobody heard of them.
    # One that went on behind its last word would have more.
    lost = expected.counted["generation"] - found.counted["generation"]
    assert 0 <= lost <= 5, lost
    assert found.counted | {"generation": 0} == expected.counted | {"generation": 0}
    assert found.blocks_kept == expected.blocks_kept > 0
    assert noted["outputs"] < calls["outputs"] / 2, (noted, calls)
    assert noted["slots"] < calls["slots"] / 3, (noted, calls)
    engine.engine_core.shutdown()


def compare_groups() -> None:
    """A batch that is nearly full waits for room for several, but not for long; any other takes everyone."""
    most = 64
    scheduler = SimpleNamespace(max_num_active_reqs=most, running=[], waiting=[])
    schedule = scheduling.admitting_in_groups(lambda scheduler: scheduler.max_num_active_reqs)

    def asked(running: int, waiting: int) -> int:
        scheduler.running, scheduler.waiting = [None] * running, [None] * waiting
        allowed: int = schedule(scheduler)
        assert scheduler.max_num_active_reqs == most
        return allowed

    assert [asked(running, 5) for running in (0, 10, 60, 64)] == [most] * 4
    assert asked(61, 0) == most
    held_back = [asked(63, 5) for _ in range(scheduling.MAX_STEPS_HELD + 2)]
    assert held_back == [63] * scheduling.MAX_STEPS_HELD + [most, 63]
    assert [asked(62, 5), asked(60, 5), asked(61, 5)] == [62, most, 61]
    small = SimpleNamespace(max_num_active_reqs=8, running=[None] * 7, waiting=[None])
    assert schedule(small) == 8


def compare_tokens(model: str) -> None:
    """The same tokens as transformers gives, also of control tokens and of what no token is for."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer("It remembers to cut.", truncation=True, max_length=1)
    tokenize = tokenizing.direct(tokenizer)
    for text in (*TEXTS, "", " ", "<end_of_turn>\n<bos>", "l·l ñ 🎈 \x00 \u202e", "a" * 5000):
        assert tokenize(text) == tokenizer(text, truncation=False)["input_ids"], text[:40]
    assert tokenizing.direct(object()) is None


if __name__ == "__main__":
    compare_groups()
    compare_tokens(sys.argv[1])
    compare_engines(sys.argv[1])
    print("the same")
