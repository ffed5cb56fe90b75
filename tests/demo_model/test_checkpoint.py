"""The committed checkpoint, with the standard library: small, honest about itself, made for this prompt."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from demo_model.production import INSTRUCTION

CHECKPOINT = Path(__file__).parent.parent.parent / "demo_model" / "checkpoint"


@pytest.fixture(scope="module")
def tokenizer() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CHECKPOINT / "tokenizer.json").read_text(encoding="utf-8"))
    return read


def byte_level(text: str) -> str:
    """Return `text` as a byte-level vocabulary spells it: a printable character for each byte of UTF-8."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    spelling = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return "".join(spelling[byte] for byte in text.encode())


def test_the_weights_are_few_and_bf16() -> None:
    """At most 4 million weights in at most 10 MB, all in bf16."""
    file = CHECKPOINT / "model.safetensors"
    assert file.stat().st_size <= 10_000_000
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        tensors = json.loads(opened.read(length))
    tensors.pop("__metadata__", None)
    assert {tensor["dtype"] for tensor in tensors.values()} == {"BF16"}
    weights = sum((tensor["data_offsets"][1] - tensor["data_offsets"][0]) // 2 for tensor in tensors.values())
    assert weights <= 4_000_000


def test_it_is_a_gemma_2_that_ends_its_turn() -> None:
    """vLLM finds the architecture, and stops at Gemma's end of turn."""
    config = json.loads((CHECKPOINT / "config.json").read_text(encoding="utf-8"))
    generation = json.loads((CHECKPOINT / "generation_config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["Gemma2ForCausalLM"]
    assert config["max_position_embeddings"] >= 1024
    assert set(generation["eos_token_id"]) == {1, 5}


def test_control_tokens_have_gemmas_names(tokenizer: dict[str, Any]) -> None:
    """Each is one special token, and <bos> starts every text."""
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"] if token["special"]}
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    assert special == {name: number for number, name in enumerate(names)}
    assert tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"] == "<bos>"


def test_it_was_trained_on_this_instruction(tokenizer: dict[str, Any]) -> None:
    """Each line of the production instruction is one token: a changed prompt needs a new model."""
    vocabulary = tokenizer["model"]["vocab"]
    for line in filter(None, INSTRUCTION.splitlines()):
        assert byte_level(line) in vocabulary, line


def test_each_digit_is_a_token(tokenizer: dict[str, Any]) -> None:
    """The mark has a token of its own, whose probability can be read."""
    vocabulary = tokenizer["model"]["vocab"]
    assert all(str(mark) in vocabulary for mark in range(6))


def test_it_says_that_it_is_a_demonstration() -> None:
    """Who finds the files alone learns that they are not for grading people."""
    for name in ("NOTICE.txt", "README.md"):
        assert "never grade people" in (CHECKPOINT / name).read_text(encoding="utf-8").casefold()
