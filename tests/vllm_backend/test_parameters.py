"""Whatever parameters a client sends: its request ends with one answer or error, and nobody else notices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import grpc

from testkit.direct import CHANNEL
from testkit.triton import TritonProcess
from tests.vllm_backend.client import Stream, ask, tensor
from tests.vllm_backend.odd_parameters import generate

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

PROMPT = "Alumne de 3r ESO respon que la pluja ve dels núvols, i que els núvols venen del mar quan fa sol."
ORDINARY = {"temperature": 0, "max_tokens": 12, "logprobs": 2, "ignore_eos": True}
OUTPUTS: dict[str, Any] = {"return_logprobs": True, "return_finish_reason": True}
ODD, AT_ONCE = 240, 12


def model_processes(triton: TritonProcess) -> set[str]:
    """The server's child processes: a model that was loaded again has another."""
    return set(Path(f"/proc/{triton.pid}/task/{triton.pid}/children").read_text(encoding="utf-8").split())


def texts(stream: Stream) -> tuple[str, list[list[str]]]:
    """What an ordinary request gets: its text, and which tokens were likely at each place."""
    (response,) = stream.answer()
    assert not response.error, response.error
    steps = json.loads(response.outputs["logprobs"][0])
    return response.text, [list(step) for step in steps]


def test_odd_parameters_reach_nobody_else(vllm_triton: TritonProcess) -> None:
    """Two hundred odd requests each end once; those between get what they always get; all processes stay."""
    processes = model_processes(vllm_triton)
    odd = generate(ODD, seed=20)
    with Stream(vllm_triton.grpc_url) as stream, Stream(vllm_triton.grpc_url) as others:
        others.send(PROMPT, ORDINARY, **OUTPUTS)
        expected = texts(others)
        for start in range(0, ODD, AT_ONCE):
            batch = odd[start : start + AT_ONCE]
            for number, parameters in enumerate(batch):
                stream.send(PROMPT, parameters, stream=number % 3 == 0, **OUTPUTS)
                if number % 4 == 0:
                    others.send(PROMPT, ORDINARY, **OUTPUTS)
            finals = 0
            while finals < len(batch):
                finals += stream.receive().final
            assert [texts(others) for _ in batch[::4]] == [expected] * len(batch[::4]), batch
        assert vllm_triton.ready("gemma2")
    assert stream.silent
    assert others.silent
    assert model_processes(vllm_triton) == processes


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"seed": 18446744073709551616, "temperature": 1}, "`seed` must be from"),
        ({"seed": 18446744073709551615, "n": 2, "temperature": 1}, "`seed` must be from"),
        ({"seed": -9223372036854775809, "temperature": 1}, "`seed` must be from"),
        ({"logit_bias": [1, 2]}, "`$.logit_bias`"),
        ({"logit_bias": {"1": 101}}, "`$.logit_bias[...]`"),
        ({"logit_bias": {"4096": 1}}, "logit_bias"),
        ({"allowed_token_ids": [True]}, "`$.allowed_token_ids[0]`"),
        ({"stop": [[1]]}, "`$.stop"),
        ({"repetition_detection": [2, 2]}, "`$.repetition_detection`"),
        ({"repetition_detection": {"max_pattern_size": 2}}, "min_count must be >= 2"),
        ({"temperature": "nan"}, "`$.temperature`"),
        ({"logprob_token_ids": [1]}, "Unknown sampling parameters: logprob_token_ids."),
        ({"_bad_words_token_ids": [[1]]}, "Unknown sampling parameters: _bad_words_token_ids."),
        ({"output_kind": 1}, "Unknown sampling parameters: output_kind."),
        ({"n": 129, "temperature": 1}, "n must be at most 128"),
        ({"structured_outputs": '{"regex": 5}'}, "regex: Input should be a valid string."),
        ({"structured_outputs": "[" * 100_000}, "The sampling parameters can't be used"),
        ({"max_tokens": "x" * 10_000}, "`max_tokens` must be of type int"),
    ],
)
def test_what_vllm_cannot_use_is_that_request_s_error(
    vllm_triton: TritonProcess, parameters: dict[str, Any], said: str
) -> None:
    """One short sentence names the parameter, and the next request is answered."""
    (response,) = ask(vllm_triton.grpc_url, PROMPT, parameters)
    assert said in response.error
    assert len(response.error) < 600
    assert "\n" not in response.error
    assert ask(vllm_triton.grpc_url, PROMPT, ORDINARY)[0].text


@pytest.mark.parametrize(
    "parameters",
    [
        {"seed": 18446744073709551615, "temperature": 1},
        {"repetition_detection": {"max_pattern_size": 2, "min_count": 2}},
        {"logit_bias": {"5": 1.5}},
        {"max_tokens": "5", "temperature": "0.5", "ignore_eos": "true"},
        {"prompt_logprobs": False},
    ],
)
def test_what_vllm_can_use_is_answered(vllm_triton: TritonProcess, parameters: dict[str, Any]) -> None:
    """Parameters at the edge of what they take, and those that are objects of their own."""
    (response,) = ask(vllm_triton.grpc_url, PROMPT, parameters)
    assert response.text


@pytest.mark.parametrize("stream", [False, True])
def test_flat_logprobs_are_told_as_others(vllm_triton: TritonProcess, *, stream: bool) -> None:
    """``flat_logprobs`` is a container within vLLM: clients get the same."""
    answers = [
        ask(vllm_triton.grpc_url, PROMPT, {**ORDINARY, **more}, stream=stream, **OUTPUTS)
        for more in ({}, {"flat_logprobs": True})
    ]
    plain, flat = ([response.outputs["logprobs"][0] for response in answer] for answer in answers)
    assert [list(json.loads(part)[0]) for part in flat] == [list(json.loads(part)[0]) for part in plain]


def test_a_constraint_that_is_not_supported_does_not_decide_for_others(vllm_triton: TritonProcess) -> None:
    """A schema that the library for constraints can't keep is refused, and grammars work on."""
    schema = json.dumps({"json": {"type": "integer", "multipleOf": 3}})
    (response,) = ask(vllm_triton.grpc_url, PROMPT, {"structured_outputs": schema})
    assert "not supported" in response.error
    grammar = json.dumps({"grammar": 'root ::= "5"'})
    (response,) = ask(
        vllm_triton.grpc_url, PROMPT, {"structured_outputs": grammar}, exclude_input_in_output=True
    )
    assert response.text == "5"


def test_a_request_without_a_prompt_is_refused(vllm_triton: TritonProcess) -> None:
    """Without ``text_input`` there is nothing to answer, and the error says so."""
    with grpc.InferenceServerClient(vllm_triton.grpc_url, channel_args=CHANNEL) as client:
        answers: list[Any] = []
        client.start_stream(lambda result, error: answers.append(error or result))
        client.async_stream_infer("gemma2", [tensor("stream", value=False)])
        client.stop_stream()
    (answer,) = answers
    assert "`text_input` is missing" in str(answer)


def test_a_prompt_that_is_no_text_is_refused(vllm_triton: TritonProcess) -> None:
    """Bytes that are no UTF-8 end their request alone."""
    broken = grpc.InferInput("text_input", [1], "BYTES")
    broken.set_data_from_numpy(np.array([b"\xff\xfe"], dtype=np.object_))
    with Stream(vllm_triton.grpc_url) as stream:
        stream.client.async_stream_infer("gemma2", [broken])
        assert "Error generating stream" in stream.answer()[0].error
        stream.send(PROMPT, ORDINARY)
        assert stream.answer()[0].text
