"""From a student's three texts to a prompt that is safe and fits the model, and what was noticed. Pure.

Without a tokenizer (a repository whose ``gemma2`` is no language model) nothing is counted or cut, and the
control tokens are those that stand in the template.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import flags
from control import Neutralizer
from copying import copied, sources
from folding import Seen
from item_errors import ItemErrorCode
from normalising import DAMAGED, fold_repeats, is_blank, normalise
from orders import instruction_like
from template import FIELDS, Template

_TEMPLATE_TOKEN = re.compile(r"<[^<>\s]+>")
_CONSIGNAS_REMEMBERED = 1000
_MAX_CUTS = 20
MAX_JOINED = 32
"""So many characters can make one that is seen; more of them are no text."""
_USUAL_CHARS = 4
"""In a token. So much of a text is tried first, and more only where it turns out to fit."""
_RAW = 4
"""A text beyond so many times what the model could read is measured by its beginning."""
_TEACHERS: dict[str, tuple[ItemErrorCode, str]] = {
    "curso": ("course_too_long", "course"),
    "consigna": ("assignment_too_long", "assignment"),
}


class Tokens(Protocol):
    """What is needed of a tokenizer; ``longest_token`` is in characters."""

    @property
    def control_tokens(self) -> Any: ...
    @property
    def longest_token(self) -> int: ...
    def encode(self, text: str) -> Any: ...
    def control_ids(self, ids: list[int]) -> list[int]: ...


class RefusedError(Exception):
    """The item can't be graded, however often it is tried: a code, and a sentence for the teacher."""

    def __init__(self, code: ItemErrorCode, sentence: str) -> None:
        super().__init__(f"[{code}] {sentence}")
        self.code, self.sentence = code, sentence


@dataclass(frozen=True, slots=True)
class Prepared:
    """``texts`` are the three as the model reads them; ``share_kept`` is that of the answer."""

    prompt: str
    texts: tuple[str, str, str]
    flags: tuple[str, ...]
    share_kept: float


class Preparer:
    """Prepares prompts of at most ``max_tokens`` tokens, <bos> included."""

    def __init__(
        self,
        template: Template,
        tokenizer: Tokens | None,
        *,
        max_tokens: int,
        reject_too_long: bool,
        min_share_kept: float = 0.5,
        normalise_text: bool = True,
    ) -> None:
        """Raises ValueError where the template alone leaves no room."""
        self._template, self._tokenizer = template, tokenizer
        self._max_tokens, self._reject = max_tokens, reject_too_long
        self._min_share = 1.0 if reject_too_long else min_share_kept
        self._normal = normalise if normalise_text else str
        self._folded = fold_repeats if normalise_text else str
        plain, _ = template.fill(dict.fromkeys(FIELDS, "a"))
        self._own_control_ids: list[int] = []
        self._own_tokens = 0
        self._max_chars: int | None = None
        self._first_chars = _USUAL_CHARS * max_tokens if tokenizer else sys.maxsize
        if tokenizer is None:
            self._neutralize = Neutralizer(_TEMPLATE_TOKEN.findall("".join(template.literals)))
        else:
            self._neutralize = Neutralizer(tokenizer.control_tokens.values())
            ids = tokenizer.encode(plain).ids
            self._own_control_ids = tokenizer.control_ids(ids)
            self._own_tokens = len(ids) - len(FIELDS)
            self._max_chars = max_tokens * tokenizer.longest_token
            if len(ids) > max_tokens:
                raise ValueError(
                    f"The prompt template takes {len(ids)} tokens and {max_tokens} are left for prompts: "
                    "raise MAX_MODEL_LEN or shorten the template."
                )
        own = sources(" ".join(template.literals))
        self._sources = lru_cache(_CONSIGNAS_REMEMBERED)(lambda consigna: own | sources(consigna))

    def prepare(self, curso: str, consigna: str, respuesta: str) -> Prepared:
        """Raises RefusedError. Looks closely at little more of the answer than what the model will read."""
        if is_blank(respuesta):
            raise RefusedError("blank_answer", "The answer is blank: there is nothing to mark.")
        around = {name: self._around(name, text) for name, text in (("curso", curso), ("consigna", consigna))}
        texts = {name: self._neutralize(text) for name, text in around.items()}
        fields = {name: text for name, (text, _) in texts.items()}
        answer, beyond = self._beginning(respuesta)
        answer = self._folded(answer)
        chars = self._first_chars
        while True:
            part, disarmed = self._neutralize(answer[:chars])
            prompt, kept = self._fit({**fields, "respuesta": part})
            if len(kept) < len(part) or chars >= len(answer):
                break
            chars *= 2  # all of it fits: there may be room for more
        total = len(part) + len(answer[chars:]) + beyond
        share = len(kept) / total
        if share < self._min_share or is_blank(kept):
            raise self._too_long({**fields, "respuesta": part}, total)
        seen = Seen.of(kept)
        noticed = {
            flags.CONTROL_TOKENS: disarmed or any(found for _, found in texts.values()),
            flags.INSTRUCTION_LIKE: instruction_like(seen),
            flags.COPIED_PROMPT: copied(seen.words, self._sources(around["consigna"])),
            flags.DAMAGED_TEXT: any(DAMAGED in text for text in (curso, consigna, respuesta)),
            flags.TRUNCATED: share < 1.0,
        }
        told = tuple(flag for flag in flags.ORDER if noticed.get(flag))
        return Prepared(prompt, (fields["curso"], fields["consigna"], kept), told, share)

    def _around(self, name: str, text: str) -> str:
        """Course or assignment in its normal form. Raises RefusedError where no tokens could hold it."""
        normal, beyond = self._beginning(text)
        if beyond:
            code, what = _TEACHERS[name]
            raise RefusedError(
                code,
                f"The {what} takes {len(normal) + beyond} characters, more than the model can read: "
                "shorten it.",
            )
        return normal

    def _beginning(self, text: str) -> tuple[str, int]:
        """A text in its normal form, as far as tokens could hold it, and how many characters lie beyond.

        For a text that is far too long that number is of the text as given: it is not worth reading it all.
        """
        if self._max_chars is None:
            return self._normal(text), 0
        raw = text[: _RAW * self._max_chars]
        normal, left = self._normal(raw), len(text) - len(raw)
        if left and len(normal) < self._max_chars:
            normal, left = self._normal(text), 0  # nearly nothing but what is left out
        return normal[: self._max_chars], max(0, len(normal) - self._max_chars) + left

    def _fit(self, texts: dict[str, str]) -> tuple[str, str]:
        """The prompt, and the answer in it: cut at its end as far as needed, to nothing if need be."""
        fields = dict(texts)
        if self._tokenizer is None:
            return self._template.fill(fields)[0], fields["respuesta"]
        for _ in range(_MAX_CUTS):
            prompt, end = self._template.fill(fields)
            encoding = self._tokenizer.encode(prompt)
            excess = len(encoding.ids) - self._max_tokens
            if excess <= 0 or not fields["respuesta"]:
                if self._tokenizer.control_ids(encoding.ids) != self._own_control_ids:
                    raise RefusedError(
                        "control_tokens", "The text holds control tokens in a form not known yet."
                    )
                return prompt, fields["respuesta"]
            fields["respuesta"] = shortened(fields["respuesta"], encoding.offsets, end, excess)
        raise RefusedError("prompt_too_long", "The text is too long for the model, and can't be cut to fit.")

    def _too_long(self, texts: dict[str, str], total: int) -> RefusedError:
        """Why too little of the answer fits: the course or the assignment crowds it out, or else itself."""
        tokens = {name: self._count(text) for name, text in texts.items()}
        tokens["respuesta"] = round(tokens["respuesta"] * total / len(texts["respuesta"]))
        needed = self._min_share * tokens["respuesta"]
        room = self._max_tokens - self._own_tokens
        for name, (code, what) in _TEACHERS.items():
            takes = tokens[name]
            if takes * 2 > room and (takes >= room or needed <= room):
                return RefusedError(
                    code,
                    f"The {what} takes {takes} of the {room} tokens that the model can read of it and the "
                    "answer: shorten it.",
                )
            room -= takes
        if self._reject:
            whole = self._own_tokens + sum(tokens.values())
            return RefusedError(
                "prompt_too_long",
                f"The answer is too long, shorten it: {whole} tokens with all around it, "
                f"{self._max_tokens} fit.",
            )
        return RefusedError(
            "prompt_too_long",
            f"The answer is too long: of its {total} characters the model could read less than "
            f"{self._min_share:.0%}; shorten it.",
        )

    def _count(self, text: str) -> int:
        """The tokens of a text by itself, without <bos>."""
        assert self._tokenizer is not None
        return len(self._tokenizer.encode(text).ids) - len(self._tokenizer.encode("").ids)


def shortened(respuesta: str, offsets: list[tuple[int, int]], end: int, excess: int) -> str:
    """``respuesta``, which ends at ``end`` in the prompt, without its last ``excess`` tokens."""
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
    return respuesta[:cut]
