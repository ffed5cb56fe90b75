"""The CPU's vLLM backend keeps the interface of NVIDIA's (triton-inference-server/vllm_backend)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from tritonclient import grpc

from testkit.direct import CHANNEL
from testkit.triton import TritonProcess
from tests.vllm_backend.client import Stream, ask

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

PROMPT = "Alumne de 3r ESO respon"
GREEDY = {"temperature": "0", "top_p": "1", "max_tokens": "12"}


def test_config_is_completed(vllm_triton: TritonProcess) -> None:
    """The model offers every documented tensor, decoupled and without Triton's batching."""
    with grpc.InferenceServerClient(vllm_triton.grpc_url, channel_args=CHANNEL) as client:
        config = client.get_model_config("gemma2", as_json=True)["config"]
    assert {tensor["name"] for tensor in config["input"]} == {
        "text_input", "image", "stream", "sampling_parameters", "exclude_input_in_output",
        "return_finish_reason", "return_cumulative_logprob", "return_logprobs",
        "return_num_input_tokens", "return_num_output_tokens",
    }  # fmt: skip
    assert {tensor["name"] for tensor in config["output"]} == {
        "text_output", "finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens",
        "num_output_tokens",
    }  # fmt: skip
    assert config["model_transaction_policy"]["decoupled"] is True
    assert config.get("max_batch_size", 0) == 0


def test_parameters_as_tensor_or_as_request_parameters(vllm_triton: TritonProcess) -> None:
    """The same parameters give the same text, whichever way they arrive."""
    as_tensor = ask(vllm_triton.grpc_url, PROMPT, GREEDY, as_tensor=True)
    as_parameters = ask(vllm_triton.grpc_url, PROMPT, GREEDY, as_tensor=False)
    assert as_tensor[0].text == as_parameters[0].text
    assert len(as_tensor) == len(as_parameters) == 1


@pytest.mark.parametrize("exclude", [None, False, True])
def test_prompt_is_prepended_unless_excluded(vllm_triton: TritonProcess, exclude: bool | None) -> None:
    """Without streaming, the prompt stands before the text unless that is excluded."""
    inputs = {} if exclude is None else {"exclude_input_in_output": exclude}
    (response,) = ask(vllm_triton.grpc_url, PROMPT, GREEDY, **inputs)
    assert response.text.startswith(PROMPT) is not (exclude is True)


def test_stream_gives_deltas(vllm_triton: TritonProcess) -> None:
    """With ``stream`` the deltas, one a token, add up to the whole text; the last alone is final."""
    (whole,) = ask(vllm_triton.grpc_url, PROMPT, GREEDY, exclude_input_in_output=True)
    deltas = ask(vllm_triton.grpc_url, PROMPT, GREEDY, stream=True, return_num_output_tokens=True)
    assert "".join(delta.text for delta in deltas) == whole.text
    assert sum(int(delta.outputs["num_output_tokens"][0]) for delta in deltas) == len(deltas) <= 12
    assert [delta.final for delta in deltas] == [False] * (len(deltas) - 1) + [True]


def test_stream_with_prompt_is_an_error(vllm_triton: TritonProcess) -> None:
    """Streaming with the prompt prepended is refused in the words of NVIDIA's backend."""
    (response,) = ask(vllm_triton.grpc_url, PROMPT, GREEDY, stream=True, exclude_input_in_output=False)
    assert response.error == (
        "Error generating stream: When streaming, `exclude_input_in_output` = False is not allowed."
    )


EXTRAS = {
    "return_finish_reason": "finish_reason",
    "return_cumulative_logprob": "cumulative_logprob",
    "return_logprobs": "logprobs",
    "return_num_input_tokens": "num_input_tokens",
    "return_num_output_tokens": "num_output_tokens",
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asked", [(), *((name,) for name in EXTRAS), tuple(EXTRAS)])
def test_extra_outputs_come_on_request(
    vllm_triton: TritonProcess, asked: tuple[str, ...], *, stream: bool
) -> None:
    """An extra output is there in every response when asked for, and in none when not."""
    inputs = dict.fromkeys(asked, True) | dict.fromkeys(set(EXTRAS) - set(asked), False)
    responses = ask(vllm_triton.grpc_url, PROMPT, {**GREEDY, "logprobs": 2}, stream=stream, **inputs)
    for response in responses:
        assert set(response.outputs) == {"text_output", *(EXTRAS[name] for name in asked)}


@pytest.mark.parametrize("stream", [False, True])
def test_finish_reason(vllm_triton: TritonProcess, *, stream: bool) -> None:
    """The final response says why it ended; the deltas before it say "None"."""
    responses = ask(
        vllm_triton.grpc_url, PROMPT, {**GREEDY, "ignore_eos": True}, stream=stream, return_finish_reason=True
    )
    reasons = [response.outputs["finish_reason"][0] for response in responses]
    assert reasons == [b"None"] * (len(responses) - 1) + [b"length"]


def test_logprobs(vllm_triton: TritonProcess) -> None:
    """Each token comes with the log-probabilities asked for, one of them of rank 1."""
    (response,) = ask(
        vllm_triton.grpc_url, PROMPT, {**GREEDY, "logprobs": 2}, return_logprobs=True,
        return_num_output_tokens=True, exclude_input_in_output=True,
    )  # fmt: skip
    steps: list[dict[str, dict[str, Any]]] = json.loads(response.outputs["logprobs"][0])
    assert len(steps) == response.outputs["num_output_tokens"][0]
    for step in steps:
        assert 2 <= len(step) <= 3
        assert [entry["rank"] for entry in step.values()].count(1) == 1
        for entry in step.values():
            assert set(entry) == {"logprob", "rank", "decoded_token"}
            assert isinstance(entry["logprob"], float)


@pytest.mark.parametrize(("stream", "expected"), [(False, 3), (True, 12)])
def test_logprobs_of_the_first_tokens(vllm_triton: TritonProcess, *, stream: bool, expected: int) -> None:
    """``logprobs_tokens`` spares the rest, beside others that want all; deltas have theirs, each."""
    limited = {**GREEDY, "ignore_eos": True, "logprobs": 2, "extra_args": {"logprobs_tokens": 3}}
    asked = (limited, {**limited, "extra_args": {}}, {**GREEDY, "ignore_eos": True}) * 2
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(Stream(vllm_triton.grpc_url)) for _ in asked]
        for one, parameters in zip(streams, asked, strict=True):
            one.send(PROMPT, parameters, stream=stream, return_logprobs=True)
        answers = [[json.loads(part.outputs["logprobs"][0]) for part in one.answer()] for one in streams]
    found: list[list[Any]] = [[step for part in answer for step in part or ()] for answer in answers]
    assert [len(steps) for steps in found] == [expected, 12, 0] * 2
    assert [list(step) for step in found[0]] == [list(step) for step in found[1][:expected]]


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True, None])
def test_a_wrong_number_of_first_tokens_is_refused(vllm_triton: TritonProcess, wrong: Any) -> None:
    """The engine lives on, and the sentence names the parameter."""
    (response,) = ask(vllm_triton.grpc_url, PROMPT, {**GREEDY, "extra_args": {"logprobs_tokens": wrong}})
    assert "`logprobs_tokens` in `extra_args`" in response.error
    (response,) = ask(vllm_triton.grpc_url, PROMPT, {**GREEDY, "extra_args": ["logprobs_tokens"]})
    assert "`extra_args` must be a JSON object" in response.error


def test_logprobs_without_texts(vllm_triton: TritonProcess) -> None:
    """Where no text is asked for, tokens have none, and the engine lives on."""
    (response,) = ask(
        vllm_triton.grpc_url, PROMPT, {**GREEDY, "logprobs": 2, "detokenize": False}, return_logprobs=True
    )
    steps = json.loads(response.outputs["logprobs"][0])
    assert {entry["decoded_token"] for step in steps for entry in step.values()} == {None}


def test_logprobs_not_sampled_are_null(vllm_triton: TritonProcess) -> None:
    """``return_logprobs`` without the parameter ``logprobs`` gives JSON null, as NVIDIA's backend does."""
    (response,) = ask(vllm_triton.grpc_url, PROMPT, GREEDY, return_logprobs=True)
    assert response.outputs["logprobs"][0] == b"null"


def test_token_counts(vllm_triton: TritonProcess) -> None:
    """Prompt and answer are counted in tokens, BOS included."""
    (response,) = ask(
        vllm_triton.grpc_url, "a", {**GREEDY, "ignore_eos": True},
        return_num_input_tokens=True, return_num_output_tokens=True,
    )  # fmt: skip
    assert response.outputs["num_input_tokens"].tolist() == [2]
    assert response.outputs["num_output_tokens"].tolist() == [12]


def test_several_sequences(vllm_triton: TritonProcess) -> None:
    """``n`` sequences come as the elements of one response."""
    (response,) = ask(
        vllm_triton.grpc_url,
        PROMPT,
        {"n": "2", "temperature": "1", "max_tokens": 8},
        return_finish_reason=True,
    )
    assert response.outputs["text_output"].shape == (2,)
    assert response.outputs["finish_reason"].shape == (2,)


def test_structured_output(vllm_triton: TritonProcess) -> None:
    """``structured_outputs`` is a JSON string inside the parameters, and binds the text."""
    choice = json.dumps({"choice": ["Aprovat", "Suspès"]})
    (response,) = ask(
        vllm_triton.grpc_url, PROMPT, {**GREEDY, "structured_outputs": choice}, exclude_input_in_output=True
    )
    assert response.text in {"Aprovat", "Suspès"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"temperatura": 0}, "Unknown sampling parameters: temperatura."),
        ({"max_tokens": "many"}, "`max_tokens` must be of type int, not 'many'."),
        ({"temperature": -1}, "temperature must be non-negative"),
        ({"structured_outputs": "{"}, "The sampling parameters can't be used"),
        ({"structured_outputs": '{"grammar": "root ::= ("}'}, "Error generating stream"),
        ({"lora_name": "other"}, "LoRA feature is not enabled."),
    ],
)
def test_bad_parameters_end_their_request_alone(
    vllm_triton: TritonProcess, parameters: dict[str, Any], said: str
) -> None:
    """Bad parameters give one error that says what is wrong, and the model goes on serving."""
    with Stream(vllm_triton.grpc_url) as stream:
        stream.send(PROMPT, parameters)
        (response,) = stream.answer()
        assert said in response.error
        stream.send(PROMPT, GREEDY)
        assert stream.answer()[-1].text
        assert stream.silent


def test_parameters_that_are_no_object(vllm_triton: TritonProcess) -> None:
    """Parameters that are JSON but no object are refused with a sentence."""
    with Stream(vllm_triton.grpc_url) as stream:
        stream.send(PROMPT, ["temperature"])  # type: ignore[arg-type]  # what a client may send
        assert "must be a JSON object" in stream.answer()[0].error


def test_prompt_too_long_ends_its_request_alone(vllm_triton: TritonProcess) -> None:
    """A prompt beyond the model's length is an error for that request, and no other notices."""
    with Stream(vllm_triton.grpc_url) as stream:
        for words, said in ((3000, "maximum"), (100_000, "400000 characters")):
            stream.send("què " * words, GREEDY, request_id="long")
            assert said in stream.answer()[0].error
        stream.send(PROMPT, GREEDY)
        assert not stream.answer()[-1].error


def test_many_at_once_each_get_one_final_response(vllm_triton: TritonProcess) -> None:
    """Two hundred requests at once, good and bad ones mixed, get exactly one final response each."""
    with Stream(vllm_triton.grpc_url) as stream:
        for number in range(200):
            stream.send(PROMPT, {**GREEDY, "max_tokens": 1 + number % 5} if number % 4 else {"bad": 1})
        responses = [stream.receive() for _ in range(200)]
        assert sum(bool(response.error) for response in responses) == 50
        assert all(response.final for response in responses)
    assert stream.silent
