"""Run in the server's environment: an engine with the replacements, beside vLLM's own."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", TORCHDYNAMO_DISABLE="1", OMP_NUM_THREADS="1")

from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.llm_engine import LLMEngine

from triton_common.settings import ModelSettings
from triton_cpu.settings import REPLACEMENTS

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "triton_cpu" / "backends" / "vllm"))
sys.path.insert(0, str(ROOT / "model_repository" / "preprocess" / "1"))

as_json = import_module("inprocess.logprobs").as_json
replacements = import_module("replacements")
tokenizing = import_module("inprocess.tokenizing")
grammar = import_module("grammar")
prompt = import_module("prompt")

BATCH = 32
TEXTS = [
    prompt.build_prompt("3r ESO", "Explica la pluja.", f"El vapor puja {number} metres i plou.")
    for number in range(24)
]


def wishes(number: int) -> SamplingParams:
    """Finished answers and streams, with and without log-probabilities and a constraint, several at once."""
    kinds: list[dict[str, Any]] = [
        {},
        {"logprobs": 3},
        {"stop": ["a", "e"]},
        {"output_kind": RequestOutputKind.DELTA, "logprobs": 2},
        {"n": 2},
        {"max_tokens": 1, "logprobs": 0},
        {"logprobs": 2, "structured_outputs": StructuredOutputsParams(grammar=grammar.GRAMMAR)},
        {"top_p": 0.9, "temperature": 2.0},
        {"top_p": 0.9, "top_k": 5},
    ]
    common = {
        "temperature": 0.8,
        "seed": number,
        "max_tokens": 70,
        "output_kind": RequestOutputKind.FINAL_ONLY,
    }
    return SamplingParams(**{**common, **kinds[number % len(kinds)]})


def run(engine: Any) -> dict[str, list[tuple[Any, ...]]]:
    """All that a client could see of the answers to all texts at once, one of them taken back on the way."""
    answers: dict[str, list[tuple[Any, ...]]] = {}
    for number, text in enumerate(TEXTS):
        engine.add_request(str(number), text, wishes(number))
    steps = 0
    while engine.has_unfinished_requests():
        for output in engine.step():
            for one in output.outputs:
                answers.setdefault(output.request_id, []).append((
                    one.index, one.text, tuple(one.token_ids), one.finish_reason, one.stop_reason,
                    as_json(one.logprobs), one.cumulative_logprob, output.num_cached_tokens, output.finished,
                ))  # fmt: skip
        steps += 1
        if steps == 5:
            engine.abort_request(["0"])
    assert engine.reset_prefix_cache()
    return answers


def compare_engines(model: str) -> None:
    """The same answers, to the last digit, with the replacements and without."""
    arguments = ModelSettings.from_env({"MODEL_NAME": model, "MAX_NUM_SEQS": str(BATCH)}).engine_args("cpu")
    engine = LLMEngine.from_engine_args(AsyncEngineArgs(**arguments))
    expected = run(engine)
    assert expected.keys() == {str(number) for number in range(1, len(TEXTS))}
    assert replacements.apply(REPLACEMENTS) == REPLACEMENTS
    found = run(engine)
    for request, answer in expected.items():
        assert found[request] == answer, (request, found[request], answer)
    engine.engine_core.shutdown()


def compare_tokens(model: str) -> None:
    """The same tokens as transformers gives, also of control tokens and of what no token is for."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer("It remembers to cut.", truncation=True, max_length=1)
    tokenize = tokenizing.direct(tokenizer)
    for text in (*TEXTS, "", " ", "<end_of_turn>\n<bos>", "l·l ñ 🎈 \x00 \u202e", "a" * 5000):
        assert tokenize(text) == tokenizer(text, truncation=False)["input_ids"], text[:40]
    assert tokenizing.direct(object()) is None


if __name__ == "__main__":
    compare_tokens(sys.argv[1])
    compare_engines(sys.argv[1])
    print("the same")
