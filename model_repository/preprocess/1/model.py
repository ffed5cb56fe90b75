"""Triton adapter of the preprocess step: three texts in, a prompt and how to sample out.

Shapes and types stand in ``../config.pbtxt``; what is done lies in ``preparing.py``. The outputs
``provenance`` and ``instance`` are only made where they are asked for: by a request to this model alone, for
nothing else.
"""

from __future__ import annotations

import json
import locale
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import triton_python_backend_utils as pb_utils

# Triton embeds Python with the C locale, in which files with accents can't be read.
locale.setlocale(locale.LC_ALL, "C.UTF-8")

from notes import open_notes  # noqa: E402
from preparing import Preparer, RefusedError  # noqa: E402
from provenance import Provenance, engine_arguments  # noqa: E402
from sampling import MAX_TOKENS, Sampling, seed  # noqa: E402
from settings import SettingError, Settings  # noqa: E402
from template import ORIGINAL, Template, TemplateError  # noqa: E402
from tokenizer import PromptTokenizer  # noqa: E402

DEFAULT_MODEL_LEN = 1024
ABOUT_THE_SERVER = frozenset({"provenance", "instance"})


def text(request: Any, name: str) -> str:
    """One STRING [1] input as text. Raises RefusedError where it isn't UTF-8: nothing is guessed."""
    value: bytes = pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0]
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(
            "invalid_encoding",
            f"The text in {name} is not UTF-8 from its byte {error.start} on: send it in UTF-8.",
        ) from None


def strings(name: str, value: str) -> Any:
    return pb_utils.Tensor(name, np.array([value.encode("utf-8", errors="replace")], dtype=np.object_))


def refuse(error: RefusedError) -> Any:
    return pb_utils.InferenceResponse(
        error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
    )


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        repository = Path(args["model_repository"]).parent
        engine = engine_arguments(repository)
        try:
            settings = Settings.from_env(os.environ)
            template = Template.read(Path(settings.prompt_template or ORIGINAL))
        except SettingError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        except TemplateError as error:
            raise pb_utils.TritonModelException(
                f"PROMPT_TEMPLATE={settings.prompt_template!r}: {error}"
            ) from None
        tokenizer = self._load_tokenizer(engine)
        room = int(engine.get("max_model_len") or DEFAULT_MODEL_LEN) - MAX_TOKENS
        try:
            self._preparer = Preparer(
                template,
                tokenizer,
                max_tokens=room,
                reject_too_long=settings.reject_too_long,
                min_share_kept=settings.min_share_kept,
                normalise_text=settings.normalise_text,
            )
        except ValueError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        self._sampling = Sampling(
            constrained=settings.constrained_output,
            logprobs=settings.confidence,
        )
        self._notes, problem = open_notes(repository)
        if problem:
            pb_utils.Logger.log_warn(problem)
        self._provenance = Provenance(
            repository,
            template_sha256=template.sha256,
            sampling=self._sampling.parameters,
            normalise_text=settings.normalise_text,
        )
        self._provenance.told()  # hashing weights takes a while the first time
        self._instance = uuid4().hex
        self._true = np.array([True])

    @staticmethod
    def _load_tokenizer(engine: dict[str, Any]) -> PromptTokenizer | None:
        """The tokenizer that vLLM loads. None where gemma2 is no vLLM model and MODEL_NAME no folder."""
        name = str(engine.get("tokenizer") or engine.get("model") or "")
        if not name and Path(os.environ.get("MODEL_NAME") or "", "tokenizer.json").is_file():
            name = os.environ["MODEL_NAME"]
        if not name:
            pb_utils.Logger.log_warn("gemma2 has no model.json: prompts are not counted in tokens.")
            return None
        return PromptTokenizer.load(name, engine.get("tokenizer_revision") or engine.get("revision"))

    def finalize(self) -> None:
        if self._notes is not None:
            self._notes.close()

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        wanted = request.requested_output_names()
        if wanted and ABOUT_THE_SERVER.issuperset(wanted):
            told = {"provenance": self._provenance.told(), "instance": self._instance}
            return pb_utils.InferenceResponse(output_tensors=[strings(name, told[name]) for name in wanted])
        try:
            prepared = self._preparer.prepare(
                *(text(request, name) for name in ("curso", "consigna", "respuesta"))
            )
        except RefusedError as error:
            return refuse(error)
        try:
            attempt = int(json.loads(request.parameters() or "{}").get("attempt", 1))
        except (TypeError, ValueError):
            return refuse(RefusedError("invalid_attempt", "The parameter attempt must be a whole number."))
        if self._notes is not None and (request_id := request.request_id()):
            self._notes.write(request_id, prepared.flags, prepared.share_kept)
        sampling = self._sampling.with_seed(seed(*prepared.texts, attempt=attempt), attempt=attempt)
        return pb_utils.InferenceResponse(
            output_tensors=[
                strings("text_input", prepared.prompt),
                strings("sampling_parameters", sampling),
                pb_utils.Tensor("exclude_input_in_output", self._true),
                pb_utils.Tensor("return_details", self._true),
            ]
        )
