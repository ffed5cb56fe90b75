"""Texts that look the same become the same, and what shows nothing is blank; both in linear time."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_repository.beside import beside

normalising = beside("normalising")
normalise, is_blank, fold_repeats = normalising.normalise, normalising.is_blank, normalising.fold_repeats

TEXT = (
    "Les plantes agafen energia del sòl amb la clorofil·la i fan oxigen: és difícil i eficaç.\n\n"
    "El flux final de l'EXCEL·LENT oficina és d'uns 5 μm."
)
FORMS: dict[str, Callable[[str], str]] = {
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "other spaces": lambda text: text.replace(" ", "\u202f", 3).replace(" ", "\u3000", 3).replace(" ", "\t"),
    "braille blanks": lambda text: text.replace(" ", "\u2800"),
    "many spaces": lambda text: f"  {text}  ".replace(" ", "   ").replace("\n", " \n "),
    "soft hyphens": lambda text: text.replace("ci", "\u00adci").replace("na", "n\u00ada"),
    "zero width": lambda text: text.replace("a", "a\u200b").replace("e", "\u2060e\u200d\u200c"),
    "fillers": lambda text: text.replace("l", "\u3164l\u115f\u034f"),
    "bidi marks": lambda text: f"\u202a{text}\u202c\u200e\u2066\u061c",
    "byte order mark": lambda text: f"\ufeff{text}",
    "its bytes swapped": lambda text: f"\ufffe{text}",
    "control characters": lambda text: text.replace("s", "s\x00\x07\x1b\x9f"),
    "variation selectors": lambda text: text.replace("a", "a\ufe0f\U000e0100"),
    "tags": lambda text: text + "\U000e0041\U000e007f",
    "ligatures": lambda text: text.replace("fi", "ﬁ").replace("fl", "ﬂ"),
    "ela geminada": lambda text: text.replace("l·l", "ŀl").replace("L·L", "ĿL"),
    "bullet operators": lambda text: text.replace("l·l", "l\u2219l").replace("L·L", "L\u2027L"),
    "dot operators": lambda text: text.replace("l·l", "l\u22c5l").replace("L·L", "L•L"),
    "Japanese dots": lambda text: text.replace("l·l", "l\u30fbl"),
    "dotless i": lambda text: text.replace("í", "ı\u0301"),
    "micro sign": lambda text: text.replace("μ", "\u00b5"),
    "Windows": lambda text: text.replace("\n", "\r\n") + "\r\n",
    "old Mac": lambda text: text.replace("\n", "\r"),
    "line separators": lambda text: text.replace("\n", "\u2028", 1).replace("\n", "\x0b"),
    "empty lines": lambda text: text.replace("\n\n", "\n \n\t\n\n\n"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_looks_the_same_becomes_the_same(form: Callable[[str], str]) -> None:
    """Each form differs from the text as it is, and becomes it."""
    assert form(TEXT) != TEXT
    assert normalise(form(TEXT)) == normalise(TEXT) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "a<b i b>c",
        "x < 3 && y > 4",
        "3 − 2 = 1",
        "5 m² i H₂O, ½, 1ª, nº 2",
        "«sí» “no” ‘potser’ l'aigua l’aigua",
        "２＋２",
        "😀 👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 ❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "œuvre, cœur, æther",
        "ℝ ∑ √2 ≠ ∞ 90°",
        "Això... val",
        "a--b --- c",
        "aaaaaaaa 11111111",
        "ıs",
        "你好 мир שלום नमस्ते",
        "una\nllista\n\nnova",
        "\ufffd",
    ],
)
def test_what_carries_meaning_stays(text: str) -> None:
    """Mathematics, superscripts, quotes, emoji, other scripts: not a byte is changed."""
    assert normalise(text) == text


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("nom: ..........", "nom: ..."),
        ("nom: ______", "nom: ___"),
        ("--------", "---"),
        ("=== fi ====", "=== fi ==="),
        (". . . . . .", "..."),
        ("····", "···"),
        ("Doncs……", "Doncs..."),
        ("Doncs…", "Doncs..."),
        ("*****", "***"),
        ("non\u2011stop co\u2010op", "non-stop co-op"),
        ("Ǉ ĳ ﬃ ﬆ", "LJ ij ffi st"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_filler_is_folded_and_letters_opened(text: str, normal: str) -> None:
    """Dotted lines are three signs long, an ellipsis is three dots, hyphens are hyphens."""
    assert normalise(text) == normal


ODD = st.text(
    st.sampled_from(
        "ael.·-_ \n\r\tL1=<>&;…ŀﬁµı\u00a0\u00ad\u200b\u200d\ufe0f\u0301\u0323\u0308\u0338\u0344\u20e3"
        "👩🏽🏴❤\U000e0041"
        "\U000e007f\u2022\u2219\u212a\u2126\u1100\u1161\u11a8\u0387"
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("La planta creix. " * 400, "La planta creix. La planta creix. La planta creix. "),
        ("bla " * 3000, "bla bla bla "),
        ("Ja.\n" * 3000 + "I el sol surt.", "Ja.\nJa.\nJa.\nI el sol surt."),
        ("Plou! " * 7, "Plou! " * 7),
        ("Primer sol. Després pluja. " * 100, "Primer sol. Després pluja. " * 100),
    ],
)
def test_what_is_repeated_over_and_over_is_folded(text: str, folded: str) -> None:
    """Three of it are kept in a long answer; a second time changes nothing."""
    assert fold_repeats(text) == folded
    assert fold_repeats(folded) == folded


@given(ODD | st.text())
def test_a_second_time_changes_nothing(text: str) -> None:
    """The normal form of a normal form is itself, in NFC; and both are blank or neither is."""
    normal = normalise(text)
    assert normalise(normal) == normal
    assert unicodedata.is_normalized("NFC", normal)
    assert is_blank(normal) == is_blank(text)


@given(ODD)
def test_forms_agree(text: str) -> None:
    """Composed, decomposed, with Windows' line ends or no-break spaces: one normal form."""
    normal = normalise(text)
    assert normalise(unicodedata.normalize("NFD", text)) == normal
    assert normalise(unicodedata.normalize("NFC", text)) == normal
    assert normalise(text.replace("\r", "").replace("\n", "\r\n")) == normalise(text.replace("\r", ""))
    assert normalise(text.replace(" ", "\u00a0")) == normal


def test_marks_are_bounded_wherever_they_stand() -> None:
    """Behind a letter of any script and at a text's beginning, more than 32 marks are none."""
    for letter in ("", "a", "中", "\u0915", "\U00011013", "\n", "a" * 20 + "\u0915" * 20):
        for text in (letter + "\u0301" * 100, letter + "\u093c" * 100 + "b", letter + "\u0323\u0301" * 50):
            normal = normalise(text)
            assert sum(map(bool, map(unicodedata.combining, unicodedata.normalize("NFD", normal)))) <= 33
            assert normal == normalise(unicodedata.normalize("NFD", text))


@pytest.mark.parametrize("script", ["中", "ﷺ", "한", "\U00020000"])
def test_no_script_is_slow(script: str) -> None:
    """A text in a script without combining marks takes no longer than one in letters with accents."""

    def seconds(text: str) -> float:
        begin = time.process_time()
        normalise(text)
        return time.process_time() - begin

    accents = min(seconds("é" * 100_000) for _ in range(5))
    assert min(seconds(script * 100_000) for _ in range(5)) < 3 * accents


HOSTILE = (
    ".",
    ". ",
    "\n",
    " \n",
    "\r",
    "a",
    "à",
    "\u200b",
    "👩\u200d",
    "\U0001f3f4\U000e0041",
    "a" + "\u0301\u0323" * 40,
    "\u0301\u0323",
    "<",
    "<p ",
    '<p "',
    "<p a=",
    "<!",
    "<!--",
    "<!doctype ",
    "<br/ ",
    "<style>",
    "&",
    "&#0",
    "&#",
    "&lt;",
    "l·",
    "ı\u0323",
    "<<p>",
    "p>",
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear(piece: str) -> None:
    """Eight times the text takes about eight times as long, whatever is repeated."""

    def seconds(chars: int) -> float:
        text = (piece * chars)[:chars]
        begin = time.process_time()
        normalise(text)
        is_blank(text)
        return time.process_time() - begin

    small = min(seconds(50_000) for _ in range(3))
    assert seconds(400_000) < 25 * max(small, 0.002)
