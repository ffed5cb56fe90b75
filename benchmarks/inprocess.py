"""vLLM's ``LLM.generate`` in its own process: the limit that the service is measured against.

Run by ``benchmarks.sides.engine`` in the server's environment, with the engine's arguments as JSON and then
the names of the replacements of vLLM's functions that it is to use. Each line on standard input is one round,
``{"group": how many at a time or null, "work": [[prompt, {parameters}], ...]}``, and gets one line back.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

from triton_cpu.layout import VLLM_BACKEND

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"


def measure(llm: Any, prompts: list[str], sampling: list[Any], group: int) -> dict[str, Any]:
    """One round over ``prompts``, so many at a time. An item is answered when ``generate`` returns."""
    outputs: list[Any] = []
    groups = []
    started = time.perf_counter()
    for first in range(0, len(prompts), group):
        chosen = slice(first, first + group)
        sent = time.perf_counter() - started
        answers = llm.generate(prompts[chosen], sampling[chosen], use_tqdm=False)
        groups.append((sent, time.perf_counter() - started, len(answers)))
        outputs += answers
    return {
        "seconds": time.perf_counter() - started,
        "requests": len(outputs),
        "input_tokens": sum(len(output.prompt_token_ids) for output in outputs),
        "output_tokens": sum(len(output.outputs[0].token_ids) for output in outputs),
        "groups": groups,
    }


def replace(names: list[str]) -> None:
    """Use the backend's replacements. Raises RuntimeError where they were written for another vLLM."""
    sys.path.append(str(VLLM_BACKEND))
    if import_module("replacements").apply(names) != names:
        raise RuntimeError("The replacements were written for another vLLM: there is no side with them.")


def main() -> None:
    # Standard output carries our lines alone; what vLLM prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from vllm import LLM, SamplingParams  # noqa: PLC0415  after the environment and stdout are set

    replace(sys.argv[2:])
    llm = LLM(**json.loads(sys.argv[1]))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        prompts = [prompt for prompt, _ in asked["work"]]
        sampling = [SamplingParams(**parameters) for _, parameters in asked["work"]]
        told = measure(llm, prompts, sampling, asked["group"] or len(prompts))
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
