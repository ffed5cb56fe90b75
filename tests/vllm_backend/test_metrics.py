"""vLLM's figures on the server's metrics page: what NVIDIA's backend counts, and at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from testkit.triton import TritonProcess
from tests.vllm_backend.client import Stream, ask

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

PROMPTS = ["L'animal més perillós és", "La capital de França és", "El futur és"]
TOKENS = 16
PARAMETERS = {"temperature": "0", "top_p": "1", "ignore_eos": True}
HISTOGRAMS = [
    "time_to_first_token_seconds", "time_per_output_token_seconds", "e2e_request_latency_seconds",
    "request_prompt_tokens", "request_generation_tokens", "request_params_n",
]  # fmt: skip


class Growth:
    """How much vLLM's metrics have grown since this was made: one page is read for each question."""

    def __init__(self, triton: TritonProcess) -> None:
        self._triton = triton
        self._before = dict(self._read())

    def _read(self) -> Iterator[tuple[str, float]]:
        """Name and value of each; of a histogram's buckets, the one that has everything."""
        for line in self._triton.metrics_page().splitlines():
            if found := re.match(r"vllm:(\w+)(\{.*\})? (\S+)$", line):
                name, labels, value = found.groups()
                if not name.endswith("_bucket") or 'le="+Inf"' in labels:
                    yield name, float(value)

    def now(self) -> dict[str, float]:
        return {name: value - self._before.get(name, 0) for name, value in self._read()}


@pytest.mark.parametrize("stream", [False, True])
def test_counts_are_there_with_the_answers(vllm_triton: TritonProcess, *, stream: bool) -> None:
    """Two rounds of three requests at once: who has the answers finds all in the metrics, token by token."""
    growth = Growth(vllm_triton)
    answers = []
    for _ in range(2):
        with Stream(vllm_triton.grpc_url) as one:
            for prompt in PROMPTS:
                one.send(prompt, PARAMETERS, stream=stream, return_num_input_tokens=True)
            finals = [one.answer()[-1] for _ in PROMPTS]
            answers += finals
    grown = growth.now()
    requests = len(answers)
    prompt_tokens = sum(int(answer.outputs["num_input_tokens"][0]) for answer in answers)
    assert grown["prompt_tokens_total"] == grown["request_prompt_tokens_sum"] == prompt_tokens
    assert grown["generation_tokens_total"] == grown["request_generation_tokens_sum"] == requests * TOKENS
    observed = dict.fromkeys(HISTOGRAMS, requests)
    # Between a request's tokens: one less than there are tokens.
    observed["time_per_output_token_seconds"] = requests * (TOKENS - 1)
    for name, count in observed.items():
        assert grown[f"{name}_count"] == grown[f"{name}_bucket"] == count, name
        assert grown[f"{name}_sum"] > 0, name


def test_times_between_tokens_add_up(vllm_triton: TritonProcess) -> None:
    """A request's time to its first token and those between its tokens are its time in the engine."""
    growth = Growth(vllm_triton)
    ask(vllm_triton.grpc_url, "abc", {**PARAMETERS, "max_tokens": 60})
    grown = growth.now()
    assert grown["time_per_output_token_seconds_count"] == 59
    whole = grown["time_to_first_token_seconds_sum"] + grown["time_per_output_token_seconds_sum"]
    assert whole == pytest.approx(grown["e2e_request_latency_seconds_sum"], rel=0.05)


def test_what_a_busy_server_puts_off_comes(vllm_triton: TritonProcess) -> None:
    """More tokens at once than there is time to observe are all there soon after."""
    growth = Growth(vllm_triton)
    requests, tokens = 60, 400
    with Stream(vllm_triton.grpc_url) as stream:
        for _ in range(requests):
            stream.send("abc", {**PARAMETERS, "max_tokens": tokens})
        assert not any(stream.answer()[-1].error for _ in range(requests))
    assert growth.now()["e2e_request_latency_seconds_count"] == requests
    before = {"vllm:time_per_output_token_seconds_count": -1.0}
    while growth.now()["time_per_output_token_seconds_count"] < requests * (tokens - 1):
        vllm_triton.wait_for_metric("vllm:time_per_output_token_seconds_count", before)
        before = vllm_triton.metrics("vllm:")
    assert growth.now()["time_per_output_token_seconds_count"] == requests * (tokens - 1)


def test_several_sequences_are_told(vllm_triton: TritonProcess) -> None:
    """The parameter ``n`` has a histogram of its own."""
    growth = Growth(vllm_triton)
    ask(vllm_triton.grpc_url, "abc", {"n": "2", "temperature": "1", "max_tokens": 4})
    grown = growth.now()
    assert grown["request_params_n_count"] == 1
    assert grown["request_params_n_sum"] == 2
