"""Run in the server's environment: which answers our grammars let pass."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import xgrammar
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "model_repository" / "preprocess" / "1"))

ours = import_module("grammar")

VOCABULARY = 4096
LONG = "paraula " * 22 + "tres"
BOTH = {
    '{"nota": 3, "feedback": "Bé."}': True,
    '\n{"nota": 0, "feedback": "Bé."}': True,
    '{"nota": 5, "feedback": "\\"Bé\\", diu; i \\"molt\\"."}': True,
    '{"nota": 5, "feedback": "Un punt.\\nI un altre."}': True,
    f'{{"nota": 5, "feedback": "{LONG}"}}': True,
    '{"nota": 3, "feedback": "A i\\t  o\\/"}': True,
    '{"nota": 6, "feedback": "Bé."}': False,
    '{"nota": -1, "feedback": "Bé."}': False,
    '{"nota": "3", "feedback": "Bé."}': False,
    '{"nota": 3.5, "feedback": "Bé."}': False,
    '{"nota": 3,"feedback": "Bé."}': False,
    '{"nota":  3, "feedback": "Bé."}': False,
    '{"nota": 3, "feedback": ""}': False,
    '{"nota": 3, "feedback": " Bé."}': False,
    '{"nota": 3, "feedback": "Bé."} ': False,
    '{"nota": 3, "feedback": "Bé."': False,
    '{"nota": 3, "feedback": "B\n"}': False,
    '{"nota": 3, "feedback": "B\x00"}': False,
    '{"nota": 3, "feedback": "B\\u0000"}': False,
    '{"feedback": "Bé.", "nota": 3}': False,
    "\n\n": False,
    "": False,
}
ONLY_FIRST = (f'{{"nota": 5, "feedback": "{LONG}."}}', f'{{"nota": 5, "feedback": "{"a" * 900}"}}')


def accepts(compiled: Any, text: str) -> bool:
    matcher = xgrammar.GrammarMatcher(compiled, terminate_without_stop_token=True)
    return bool(matcher.accept_string(text) and matcher.is_terminated())


def check_language(compiler: Any) -> None:
    """The first grammar takes any feedback that ends, the second one of so many characters."""
    assert len(LONG) == ours.CHARS
    first, bounded = map(compiler.compile_grammar, (ours.GRAMMAR, ours.BOUNDED_GRAMMAR))
    for text, good in BOTH.items():
        assert accepts(first, text) == good, text
        assert accepts(bounded, text) == good, text
    for text in ONLY_FIRST:
        assert accepts(first, text), text
        assert not accepts(bounded, text), text
    matcher = xgrammar.GrammarMatcher(first, terminate_without_stop_token=True)
    for number, char in enumerate('\n{"nota": ', start=1):
        assert matcher.accept_string(char)
        assert number < ours.MARK_WITHIN


if __name__ == "__main__":
    demo = AutoTokenizer.from_pretrained(sys.argv[1])
    info = xgrammar.TokenizerInfo.from_huggingface(demo, vocab_size=VOCABULARY)
    check_language(xgrammar.GrammarCompiler(info, max_threads=1))
    print("the same")
