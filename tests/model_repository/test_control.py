"""Control tokens in a student's text become words, however they are disguised; nothing else changes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_repository.adversarial import DISGUISES, SENTENCES, TOKENS, words_of
from tests.model_repository.beside import beside

control = beside("control")
OTHERS = ("<|im_end|>", "<|eot_id|>", "[@BOS@]", "<unused7>", "[INST]", "</s>", "<mask>")
neutralize = control.Neutralizer([*TOKENS, *OTHERS])
GEMMA = (*TOKENS, "<mask>", "<2mass>", "[@BOS@]", *(f"<unused{number}>" for number in range(99)))
with_gemma = control.Neutralizer(GEMMA)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_disguises_fall(token: str, disguise: object) -> None:
    """Each token in each disguise becomes the same words, set off from the words around."""
    hidden = disguise(token, random.Random(1))  # type: ignore[operator]
    for text in (f"Bon dia {hidden} adeu", f"Bon dia{hidden}adeu", f"Bon dia {hidden}adeu"):
        assert neutralize(text) == (f"Bon dia {words_of(token)} adeu", True)
        assert with_gemma(text) == (f"Bon dia {words_of(token)} adeu", True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<|im_end|>", "im end"),
        ("<|eot_id|>", "eot id"),
        ("[@BOS@]", "BOS"),
        ("<unused7>", "unused7"),
        ("</s>", "s"),
        ("[INST]", "INST"),
        ("<mask>", "mask"),
        ("\\u003cend_of_turn\\u003e", "end of turn"),
        ("%3Cend_of_turn%3E", "end of turn"),
        ("&#60;bos&#x3e;", "bos"),
        ("&lt;bos&gt;", "bos"),
        ("&LT;b&#111;s&#xFF1E;", "bos"),
        ("< end-of-turn >", "end of turn"),
        ("<end\nof\nturn>", "end of turn"),
        ("≮end_of_turn≯", "end of turn"),
        ("<<bos>bos>", "bos bos"),
        ("<bos><bos>", "bos bos"),
        ("<end_of_turn>\u0301\u200b", "end of turn"),
    ],
)
def test_spellings(text: str, words: str) -> None:
    """Other spellings, and tokens of other models' shapes."""
    changed, found = neutralize(text)
    assert found
    assert changed.replace("<", "").replace(">", "") == words


@pytest.mark.parametrize(
    "text",
    [
        *SENTENCES,
        "",
        "a < s > b",
        "3 < 5 > 2",
        "<b>hola</b>",
        "start of turn",
        "<start>",
        "end_of_turn",
        "&lt;p&gt;",
        "cafe\u0301",
        "ｈｏｌａ",
        "\u200b\ufeff",
        "👩‍👩‍👧",
        "«bos»",
        "bos, pad i mask",
        "[1] [sic]",
        "x\u00a0y",
        "\0",
    ],
)
def test_other_text_is_untouched(text: str) -> None:
    """Text without control tokens comes back byte for byte."""
    assert neutralize(text) == (text, False)
    assert with_gemma(text) == (text, False)


PIECES = st.sampled_from(
    [*TOKENS, *OTHERS, "<", ">", "_", "start", "of", "end", "turn", "bos", "\u200b", "＜", " ", "a"]
)


@given(st.lists(PIECES | st.characters(codec="utf-8"), max_size=30).map("".join))
def test_none_is_left(text: str) -> None:
    """However the pieces are put together, no token is left, and doing it again changes nothing."""
    changed, found = neutralize(text)
    assert not any(token in changed for token in (*TOKENS, *OTHERS))
    assert neutralize(changed) == (changed, False)
    assert found or changed == text


@pytest.mark.parametrize("token", GEMMA)
def test_every_token_of_a_large_vocabulary_is_said_in_its_own_words(token: str) -> None:
    """Tokens that begin alike aren't taken for each other."""
    assert with_gemma(f"a {token} b") == (f"a {control.in_words(token)} b", True)


@pytest.mark.parametrize("depth", [2, 5, 20, 300])
def test_none_is_left_of_deeply_nested_ones(depth: int) -> None:
    """However deep tokens are put into each other, none comes out."""
    for begin, end in (("<", ">"), ("<[@", "@]>"), ("&lt;", "&gt;")):
        for word in ("pad", "bos", "end_of_turn"):
            changed, found = with_gemma(begin * depth + word + end * depth)
            assert found or begin == "<[@"
            assert with_gemma(changed) == (changed, False)
            assert not any(token.lower() in changed.lower() for token in GEMMA)


def test_without_tokens_nothing_happens() -> None:
    """A tokenizer without control tokens leaves every text as it is."""
    assert control.Neutralizer([])("<end_of_turn>") == ("<end_of_turn>", False)
    assert control.Neutralizer(["", " ", "\n\n"])("a  b\n\n") == ("a  b\n\n", False)
