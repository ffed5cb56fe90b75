"""One request's way through the backend: tensors in, tensors out, exactly one final response."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from vllm.outputs import RequestOutput

from inprocess.logprobs import as_json
from inprocess.parameters import ParameterError, read_parameters
from inprocess.tokenizing import MAX_CHARACTERS, Tokenize

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
EXTRAS = (
    "return_finish_reason",
    "return_cumulative_logprob",
    "return_logprobs",
    "return_num_input_tokens",
    "return_num_output_tokens",
)


def read_inputs(request: Any) -> dict[str, Any]:
    """All inputs that were sent, by name, as flat arrays.

    In one pass: the server's look-up by name walks through all of them each time, and the engine waits.
    """
    return {tensor.name(): tensor.as_numpy().reshape(-1) for tensor in request.inputs()}


MAX_ERROR_CHARACTERS = 500


def sentence(error: object) -> str:
    """What ``error`` says, as one line that a response can carry.

    It may quote what the client sent: at any length, and with halves of characters, which can't be encoded.
    """
    text = " ".join(str(error)[: 2 * MAX_ERROR_CHARACTERS].split())
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
    return text if len(text) <= MAX_ERROR_CHARACTERS else f"{text[:MAX_ERROR_CHARACTERS]} ..."


def scalar(inputs: dict[str, Any], name: str) -> Any:
    """The one element of an optional input, or None where it wasn't sent."""
    values = inputs.get(name)
    return None if values is None else values[0]


def read_prompt(inputs: dict[str, Any], tokenize: Tokenize | None) -> tuple[str, Any]:
    """The prompt's text, and what vLLM takes for it: tokens, or the text (with images where some came)."""
    raw = scalar(inputs, "text_input")
    if raw is None:
        raise ParameterError("The input `text_input` is missing: send the prompt in it.")
    text = raw.decode("utf-8") if isinstance(raw, bytes) else str(raw)
    images = inputs.get("image")
    if images is None or not images.size:
        if tokenize is None or len(text) > MAX_CHARACTERS:
            return text, text
        return text, {"prompt_token_ids": tokenize(text), "prompt": text}
    from PIL import Image  # noqa: PLC0415  text models never need it

    pictures = [Image.open(BytesIO(base64.b64decode(image))).convert("RGB") for image in images]
    return text, {"prompt": text, "multi_modal_data": {"image": pictures}}


class Generation:
    """A request between Triton and the engine. Not thread-safe: each phase has one thread."""

    def __init__(self, request: Any, request_id: str, tokenize: Tokenize | None) -> None:
        """Read the request. Raises ParameterError, or ValueError for text or images that can't be read."""
        self.id = request_id
        self.sender = request.get_response_sender()
        self.done = False
        inputs = read_inputs(request)
        self.prompt_text, self.prompt = read_prompt(inputs, tokenize)
        self.stream = bool(scalar(inputs, "stream"))
        exclude = scalar(inputs, "exclude_input_in_output")
        if self.stream and exclude is not None and not exclude:
            raise ParameterError("When streaming, `exclude_input_in_output` = False is not allowed.")
        self.prepend_prompt = not self.stream and not exclude
        self.extras = frozenset(name for name in EXTRAS if scalar(inputs, name))
        parameters = scalar(inputs, "sampling_parameters")
        self.params = read_parameters(
            request.parameters() if parameters is None else parameters.decode("utf-8"), stream=self.stream
        )

    def respond(self, output: RequestOutput) -> None:
        """Send what the engine gave: the whole text, or a step's new part when streaming."""
        if self.done:
            return
        self.done = output.finished
        response = pb_utils.InferenceResponse(output_tensors=self._tensors(output))
        self.sender.send(response, flags=FINAL if output.finished else 0)

    def fail(self, error: Any) -> None:
        """End the request with a Triton error; nothing where it has ended already."""
        if not self.done:
            self.done = True
            self.sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)

    def _tensors(self, output: RequestOutput) -> list[Any]:
        outputs = output.outputs
        prefix = self.prompt_text if self.prepend_prompt else ""
        texts = [(prefix + one.text).encode("utf-8") for one in outputs]
        tensors = [pb_utils.Tensor("text_output", np.array(texts, dtype=np.object_))]
        if "return_finish_reason" in self.extras:
            reasons = [str(one.finish_reason).encode() for one in outputs]
            tensors.append(pb_utils.Tensor("finish_reason", np.array(reasons, dtype=np.object_)))
        if "return_cumulative_logprob" in self.extras:
            sums = np.array([one.cumulative_logprob for one in outputs], dtype=np.float32)
            tensors.append(pb_utils.Tensor("cumulative_logprob", sums))
        if "return_logprobs" in self.extras:
            logprobs = np.array([as_json(one.logprobs) for one in outputs], dtype=np.object_)
            tensors.append(pb_utils.Tensor("logprobs", logprobs))
        if "return_num_input_tokens" in self.extras:
            count = np.array([len(output.prompt_token_ids or ())], dtype=np.uint32)
            tensors.append(pb_utils.Tensor("num_input_tokens", count))
        if "return_num_output_tokens" in self.extras:
            counts = np.array([len(one.token_ids) for one in outputs], dtype=np.uint32)
            tensors.append(pb_utils.Tensor("num_output_tokens", counts))
        return tensors
