"""From a student's three texts to a prompt that is safe and fits the model, and what was noticed. Pure.

Without a tokenizer (a repository whose ``gemma2`` is no language model) nothing is counted or cut, and the
control tokens are those that stand in the template.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import flags
from control import Neutralizer
from copying import copied, sources
from folding import Seen
from orders import instruction_like
from template import FIELDS, Template

_TEMPLATE_TOKEN = re.compile(r"<[^<>\s]+>")
_CONSIGNAS_REMEMBERED = 1000
_MAX_CUTS = 20
MAX_JOINED = 32
"""So many characters can make one that is seen; more of them are no text."""


class Tokens(Protocol):
    """What is needed of a tokenizer."""

    @property
    def control_tokens(self) -> Any: ...
    def encode(self, text: str) -> Any: ...
    def control_ids(self, ids: list[int]) -> list[int]: ...


class RefusedError(Exception):
    """The item can't be graded, however often it is tried: a code, and a sentence for the teacher."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"[{code}] {sentence}")
        self.code, self.sentence = code, sentence


@dataclass(frozen=True, slots=True)
class Prepared:
    """``texts`` are the three that the model reads, before any cut; ``share_kept`` is that of the answer."""

    prompt: str
    texts: tuple[str, str, str]
    flags: tuple[str, ...]
    share_kept: float


class Preparer:
    """Prepares prompts of at most ``max_tokens`` tokens, <bos> included."""

    def __init__(
        self, template: Template, tokenizer: Tokens | None, *, max_tokens: int, reject_too_long: bool
    ) -> None:
        """Raises ValueError where the template alone leaves no room."""
        self._template, self._tokenizer = template, tokenizer
        self._max_tokens, self._reject = max_tokens, reject_too_long
        plain, _ = template.fill(dict.fromkeys(FIELDS, "a"))
        self._own_control_ids: list[int] = []
        if tokenizer is None:
            self._neutralize = Neutralizer(_TEMPLATE_TOKEN.findall("".join(template.literals)))
        else:
            self._neutralize = Neutralizer(tokenizer.control_tokens.values())
            ids = tokenizer.encode(plain).ids
            self._own_control_ids = tokenizer.control_ids(ids)
            if len(ids) > max_tokens:
                raise ValueError(
                    f"The prompt template takes {len(ids)} tokens and {max_tokens} are left for prompts: "
                    "raise MAX_MODEL_LEN or shorten the template."
                )
        own = sources(" ".join(template.literals))
        self._sources = lru_cache(_CONSIGNAS_REMEMBERED)(lambda consigna: own | sources(consigna))

    def prepare(self, curso: str, consigna: str, respuesta: str) -> Prepared:
        """Raises RefusedError."""
        if not respuesta.strip():
            raise RefusedError("blank_answer", "The answer is blank: there is nothing to mark.")
        given = (curso, consigna, respuesta)
        cleaned = [self._neutralize(text) for text in given]
        texts = (cleaned[0][0], cleaned[1][0], cleaned[2][0])
        noticed = set()
        if any(found for _, found in cleaned):
            noticed.add(flags.CONTROL_TOKENS)
        seen = Seen.of(respuesta)
        if instruction_like(seen):
            noticed.add(flags.INSTRUCTION_LIKE)
        if copied(seen.words, self._sources(consigna)):
            noticed.add(flags.COPIED_PROMPT)
        prompt, kept = self._fit(*texts)
        if kept < 1.0:
            noticed.add(flags.TRUNCATED)
        return Prepared(prompt, texts, tuple(flag for flag in flags.ORDER if flag in noticed), kept)

    def _fit(self, curso: str, consigna: str, respuesta: str) -> tuple[str, float]:
        """The prompt, the student's text cut at its end as far as needed, and the share that is left."""
        fields = {"curso": curso, "consigna": consigna, "respuesta": respuesta}
        prompt, end = self._template.fill(fields)
        if self._tokenizer is None:
            return prompt, 1.0
        encoding = self._tokenizer.encode(prompt)
        for _ in range(_MAX_CUTS):
            ids = encoding.ids
            excess = len(ids) - self._max_tokens
            if excess <= 0:
                if self._tokenizer.control_ids(ids) != self._own_control_ids:
                    raise RefusedError(
                        "control_tokens", "The text holds control tokens in a form not known yet."
                    )
                return prompt, len(fields["respuesta"]) / len(respuesta)
            if self._reject:
                raise RefusedError(
                    "prompt_too_long",
                    f"The text is too long: {len(ids)} tokens with all around it, {self._max_tokens} fit.",
                )
            fields["respuesta"] = shortened(fields["respuesta"], encoding.offsets, end, excess)
            prompt, end = self._template.fill(fields)
            encoding = self._tokenizer.encode(prompt)
        raise RefusedError("prompt_too_long", "The text is too long for the model, and can't be cut to fit.")


def shortened(respuesta: str, offsets: list[tuple[int, int]], end: int, excess: int) -> str:
    """``respuesta``, which ends at ``end`` in the prompt, without its last ``excess`` tokens.

    Raises RefusedError where nothing would be left of it.
    """
    begin = end - len(respuesta)
    starts = [start for start, stop in offsets if begin <= start < end and stop > start]
    cut = starts[-excess] - begin if len(starts) > excess else 0
    # A letter keeps its accents, and a joined emoji its parts.
    least = cut - MAX_JOINED
    while (
        cut > least
        and cut
        and (unicodedata.combining(respuesta[cut]) or "\u200d" in respuesta[cut - 1 : cut + 1])
    ):
        cut -= 1
    kept = respuesta[:cut]
    if not kept.strip():
        raise RefusedError(
            "prompt_too_long", "The text doesn't fit: nothing to mark would be left of the answer."
        )
    return kept
