"""What shows nothing is blank, for the orchestrator as for preprocess."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.jobs import Item
from orchestrator.jobs import normalising as of_the_orchestrator
from testkit.triton import ROOT
from tests.model_repository.beside import beside

normalising = beside("normalising")
normalise, is_blank = normalising.normalise, normalising.is_blank

BLANK = (
    "",
    " ",
    "\n\t\r\n",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\u2800",
    "\u3164",
    "\uffa0\u115f",
    "\u00ad\u00ad",
    "\u202e\u200f\u2066",
    "<p>&nbsp;</p>",
    "<p></p>",
    "<br>",
    "<br/>",
    "<BR />",
    "<p><b><i></p>",
    "<div><p>",
    "<p",
    '<p class="x',
    "<!-- res -->",
    "<!-- res",
    '<p dir="ltr" style=\'text-align:left\' title="a>b"><br></p>',
    "<o:p></o:p>",
    "<img src='a.png'>",
    "<style>p {color: red}</style>",
    "<!DOCTYPE html><?xml version='1.0'?>",
    "<<p>p>",
    "<p>\u200b</p>",
    "&nbsp;",
    "&nbsp",
    "&#160;",
    "&#xa0;",
    "&#x200b;",
    "&#0000160;",
    "&ZeroWidthSpace;",
    "&shy;",
    "&zwnj;",
    "&amp;nbsp;",
    "&amp;amp;nbsp;",
    "&lt;p&gt;&lt;/p&gt;",
    "-",
    "–",
    "—",
    "--",
    " - ",
    "<p>-</p>",
    "&mdash;",
    "\u2212",
    "\u0301",
    "\ufffc",
    "\ufffe\uffff\ufdd0",
    "<br/ >",
    "<br / >",
    "<!DOCTYPE html",
    '<?xml version="1.0"',
)
READABLE = (
    "0",
    "?",
    "<3",
    "a<b",
    "<",
    "<b i b>c",
    "a<b i b>c",
    "&",
    "&lt;3",
    "&amp;",
    "&#48;",
    "5 &lt; 7",
    "<hola>",
    "<no ho sé",
    "<? no ho sé",
    "<! no",
    "x<y",
    "√2",
    "😀",
    ".",
    "...",
    "_",
    "+",
    "<p>hola</p>",
    "\ufffd",
    "你好",
    "-1",
    "<>",
    "&#" + "1" * 5000 + ";",
)


@pytest.mark.parametrize("text", BLANK)
def test_nothing_to_read_is_blank(text: str) -> None:
    """Invisible characters, markup and entities, or a dash alone."""
    assert is_blank(text)
    assert is_blank(normalise(text))
    assert Item(0, "a", "b", "c", text).blank


@pytest.mark.parametrize("text", READABLE)
def test_what_a_person_reads_is_not_blank(text: str) -> None:
    """However short, and where it only looks like markup."""
    assert not is_blank(text)
    assert not is_blank(normalise(text))
    assert not Item(0, "a", "b", "c", text).blank


def test_one_definition() -> None:
    """The orchestrator's is the same file."""
    link = ROOT / "orchestrator" / "jobs" / "normalising.py"
    assert Path(of_the_orchestrator.__file__).resolve() == link.resolve()
    assert link.resolve() == ROOT / "model_repository" / "preprocess" / "1" / "normalising.py"
