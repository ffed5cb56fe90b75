"""vLLM's ``LLM.generate`` in its own process: the limit that the ensemble is measured against.

Run by ``benchmarks.ensemble`` in the server's environment. Reads prompts and sampling parameters as one
JSON line ``[[prompt, {parameters}], ...]`` on standard input, then one line "go" for each round; answers
each with one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"


def main() -> None:
    # Standard output carries our lines alone; what vLLM prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from vllm import LLM, SamplingParams  # noqa: PLC0415  after the environment and stdout are set
    from vllm.sampling_params import StructuredOutputsParams  # noqa: PLC0415

    llm = LLM(**json.loads(sys.argv[1]))
    work = json.loads(sys.stdin.readline())
    prompts = [prompt for prompt, _ in work]
    sampling = []
    for _, parameters in work:
        if structure := parameters.pop("structured_outputs", None):
            parameters["structured_outputs"] = StructuredOutputsParams(**json.loads(structure))
        sampling.append(SamplingParams(**parameters))
    llm.generate(prompts[:16], sampling[:16], use_tqdm=False)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        outputs = llm.generate(prompts, sampling, use_tqdm=False)
        elapsed = time.perf_counter() - started
        tokens = sum(len(output.outputs[0].token_ids) for output in outputs)
        print(json.dumps({"seconds": elapsed, "output_tokens": tokens}), file=answers, flush=True)


if __name__ == "__main__":
    main()
