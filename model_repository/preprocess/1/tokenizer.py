"""The model's own tokenizer: counts tokens, and knows which of them steer the model.

Loads ``tokenizer.json`` with the ``tokenizers`` library alone, in a fraction of the time that transformers
takes to be imported, and adds what transformers would read from the files beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

# Gemma's tokenizer lists these tags as added tokens, though they are ordinary text to the model.
_HTML_TAG = re.compile(
    r"</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|s|sub|sup|code|ul|ol|li|p|br)>"
)
_CONFIG_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """``control_tokens`` by their ids; ``longest_token`` in characters, as its vocabulary writes it."""

    tokenizer: Tokenizer
    control_tokens: Mapping[int, str]
    longest_token: int

    @classmethod
    def load(cls, model: str, revision: str | None = None) -> PromptTokenizer:
        """The tokenizer of ``model``: a folder, or a name on the hub whose files are cached or fetched.

        Raises OSError or ValueError where there is none.
        """
        folder = find_files(model, revision)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # A prompt is never cut or padded behind our back.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        settings = [read_json(folder / name) for name in _CONFIG_FILES]
        special = {name for config in settings for name in special_names(config)}
        missing = sorted(name for name in special if tokenizer.token_to_id(name) is None)
        tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in missing])
        control = {
            number: token.content
            for number, token in tokenizer.get_added_tokens_decoder().items()
            if token.special or token.content in special or is_control(token.content)
        }
        return cls(tokenizer, control, max(map(len, tokenizer.get_vocab())))

    def encode(self, text: str) -> Any:
        """``ids`` and ``offsets`` (in characters of ``text``) as the model gets them, <bos> included."""
        return self.tokenizer.encode(text)

    def control_ids(self, ids: list[int]) -> list[int]:
        """Those of ``ids`` that are control tokens, in order."""
        return [number for number in ids if number in self.control_tokens]


def is_control(content: str) -> bool:
    """Whether an added token that isn't marked as special steers the model: unless it is plainly text."""
    return bool(content.strip("\u2581 \t\n\r")) and not _HTML_TAG.fullmatch(content)


def find_files(model: str, revision: str | None) -> Path:
    """The folder with the tokenizer's files."""
    if (folder := Path(model)).is_dir():
        return folder
    # A local model needs no hub.
    from huggingface_hub import hf_hub_download  # type: ignore[import-not-found]  # noqa: PLC0415
    from huggingface_hub.errors import (  # type: ignore[import-not-found]  # noqa: PLC0415
        EntryNotFoundError,
        LocalEntryNotFoundError,
    )

    path = Path(hf_hub_download(model, "tokenizer.json", revision=revision))
    for name in _CONFIG_FILES:
        try:
            hf_hub_download(model, name, revision=revision)
        except (EntryNotFoundError, LocalEntryNotFoundError):
            continue  # not every tokenizer has all of them
    return path.parent


def read_json(path: Path) -> dict[str, Any]:
    """What is in a file that may be missing."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def special_names(config: Mapping[str, Any]) -> Iterator[str]:
    """The special tokens that transformers would take from one of the files beside ``tokenizer.json``."""
    for key, value in config.items():
        if key in ("additional_special_tokens", "extra_special_tokens"):
            tokens = value.values() if isinstance(value, dict) else value or ()
            yield from filter(None, map(content_of, tokens))
        elif key.endswith("_token") and (name := content_of(value)):
            yield name
        elif key == "added_tokens_decoder":
            yield from (token["content"] for token in value.values() if token.get("special"))


def content_of(token: Any) -> str:
    """A token's text, whichever way it is written down; empty where it is none (``add_bos_token: true``)."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""
