"""Triton adapter of the preprocess step: three texts in, a prompt and how to sample out.

Shapes and types stand in ``../config.pbtxt``; what is done lies in ``preparing.py``. The output
``provenance`` is only made where it is asked for: a request to this model alone, for that output alone.
"""

from __future__ import annotations

import json
import locale
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

# Triton embeds Python with the C locale, in which files with accents can't be read.
locale.setlocale(locale.LC_ALL, "C.UTF-8")

from note_writer import NoteWriter, notes_folder  # noqa: E402
from preparing import Preparer, RefusedError  # noqa: E402
from provenance import describe, engine_arguments, model_identity  # noqa: E402
from sampling import MAX_TOKENS, Sampling, seed  # noqa: E402
from settings import SettingError, Settings  # noqa: E402
from template import ORIGINAL, Template, TemplateError  # noqa: E402
from tokenizer import PromptTokenizer, find_files  # noqa: E402

DEFAULT_MODEL_LEN = 1024


def text(request: Any, name: str) -> str:
    """One STRING [1] input as text. Bytes that aren't UTF-8 become U+FFFD rather than an error."""
    value: bytes = pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0]
    return value.decode("utf-8", errors="replace")


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
        tokenizer, folder = self._load_tokenizer(engine)
        room = int(engine.get("max_model_len") or DEFAULT_MODEL_LEN) - MAX_TOKENS
        try:
            self._preparer = Preparer(
                template, tokenizer, max_tokens=room, reject_too_long=settings.reject_too_long
            )
        except ValueError as error:
            raise pb_utils.TritonModelException(str(error)) from None
        self._sampling = Sampling(
            constrained=settings.constrained_output,
            logprobs=settings.confidence,
        )
        self._notes = NoteWriter(notes_folder(str(repository)))
        model = model_identity(str(engine.get("model", "")), str(engine.get("revision", "")), folder)
        self._provenance = describe(model, engine, template.sha256, self._sampling.parameters)
        self._true, self._false = np.array([True]), np.array([False])

    @staticmethod
    def _load_tokenizer(engine: dict[str, Any]) -> tuple[PromptTokenizer | None, Path | None]:
        """The tokenizer that vLLM loads. None where gemma2 is no vLLM model and MODEL_NAME no folder."""
        name = str(engine.get("tokenizer") or engine.get("model") or "")
        if not name and Path(os.environ.get("MODEL_NAME") or "", "tokenizer.json").is_file():
            name = os.environ["MODEL_NAME"]
        if not name:
            pb_utils.Logger.log_warn("gemma2 has no model.json: prompts are not counted in tokens.")
            return None, None
        revision = engine.get("tokenizer_revision") or engine.get("revision")
        return PromptTokenizer.load(name, revision), find_files(name, revision)

    def finalize(self) -> None:
        self._notes.close()

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        wanted = request.requested_output_names()
        if "provenance" in wanted and len(wanted) == 1:
            return pb_utils.InferenceResponse(output_tensors=[strings("provenance", self._provenance)])
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
        request_id = request.request_id()
        self._notes.write(request_id, prepared.prompt, prepared.flags, prepared.share_kept)
        sampling = self._sampling.with_seed(seed(*prepared.texts, attempt=attempt), attempt=attempt)
        return pb_utils.InferenceResponse(
            output_tensors=[
                strings("text_input", prepared.prompt),
                strings("sampling_parameters", sampling),
                # A request without an id is recognised by its prompt: see note_writer.py.
                pb_utils.Tensor("exclude_input_in_output", self._true if request_id else self._false),
                pb_utils.Tensor("return_details", self._true),
            ]
        )
