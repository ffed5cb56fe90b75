"""Run in the server's environment: which answers our grammars let pass, and their masks beside vLLM's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import xgrammar
from transformers import AutoTokenizer
from vllm import SamplingParams
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import StructuredOutputsParams
from vllm.v1.structured_output import StructuredOutputManager
from vllm.v1.structured_output.backend_xgrammar import XgrammarGrammar, validate_xgrammar_grammar
from vllm.v1.structured_output.utils import apply_grammar_bitmask

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "triton_cpu" / "backends" / "vllm"))
sys.path.insert(0, str(ROOT / "model_repository" / "preprocess" / "1"))

grammars = import_module("inprocess.grammars")
ours = import_module("grammar")

VOCABULARY = 4096
EOS = 1
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


def check_once() -> None:
    """A grammar is checked until it was found good; a bad one is refused each time."""
    checked: list[str] = []

    def validate(params: SamplingParams) -> None:
        checked.append(params.structured_outputs.grammar)
        validate_xgrammar_grammar(params)

    once = grammars.checking_once(validate)
    good = 'root ::= "a" | "b"'
    for _ in range(3):
        once(SamplingParams(structured_outputs=StructuredOutputsParams(grammar=good)))
        try:
            once(SamplingParams(structured_outputs=StructuredOutputsParams(grammar="root ::= (")))
        except VLLMValidationError:
            continue
        raise AssertionError("a bad grammar was taken")
    assert checked.count(good) == 1
    assert len(checked) == 4


def check_starting() -> None:
    """Only a grammar that wasn't there before is compiled in another thread, and the setting stays."""
    seen: list[tuple[str, bool]] = []

    def start(manager: Any, request: Any) -> None:
        seen.append((request.structured_output_request.structured_output_key, in_thread(manager)))
        if seen[-1][0] == "bad":
            raise ValueError

    def in_thread(manager: Any) -> bool:
        return bool(manager._use_async_grammar_compilation)

    manager = SimpleNamespace(_use_async_grammar_compilation=True)
    start_at_once = grammars.starting_at_once(start)
    for key in ("a", "a", "b", "bad", "bad", None):
        wanted = SimpleNamespace(structured_output_key=key) if key else None
        try:
            start_at_once(manager, SimpleNamespace(structured_output_request=wanted))
        except ValueError:
            assert key == "bad"
        assert in_thread(manager)
    assert seen == [("a", True), ("a", False), ("b", True), ("bad", True), ("bad", True)]


def stand_ins(compiled: Any, texts: list[str]) -> Iterator[tuple[str, Any]]:
    """Requests that have written different parts of an answer."""
    for number, text in enumerate(texts):
        matcher = xgrammar.GrammarMatcher(compiled)
        assert matcher.accept_string(text)
        grammar = XgrammarGrammar(matcher=matcher, vocab_size=VOCABULARY, ctx=compiled)
        request = SimpleNamespace(_grammar=grammar, grammar=grammar)
        yield str(number), SimpleNamespace(structured_output_request=request)


def compare_masks(compiler: Any) -> None:
    """The same masks on the same rows, whatever part of the batch is constrained, and in any order."""
    texts = ["", '{"nota": ', '{"nota": 3', '{"nota": 3, "feedback": "', '{"nota": 3, "feedback": "Bé']
    requests = dict(stand_ins(compiler.compile_grammar(ours.GRAMMAR), texts * 3))
    manager = StructuredOutputManager.__new__(StructuredOutputManager)
    manager._grammar_bitmask = xgrammar.allocate_token_bitmask(len(requests) + 2, VOCABULARY)
    manager._full_mask = torch.tensor(-1, dtype=torch.int32)
    manager.reasoner_cls, manager.enable_in_reasoning = None, True
    manager.fill_bitmask_parallel_threshold = 128
    model = SimpleNamespace(is_diffusion=False)
    manager.vllm_config = SimpleNamespace(num_speculative_tokens=0, model_config=model)
    ids = list(requests)[::-1]
    expected = StructuredOutputManager.grammar_bitmask(manager, requests, ids, {}).copy()
    manager._grammar_bitmask.fill_(0)
    asked: list[list[str]] = []

    def fill(*given: Any) -> Any:
        asked.append(given[2])
        return StructuredOutputManager.grammar_bitmask(*given)

    fill_at_once = grammars.filling_at_once(fill)
    found = fill_at_once(manager, requests, ids, {})
    assert not asked
    assert (found == expected).all()
    # One that has ended may write anything.
    requests["3"].structured_output_request._grammar._is_terminated = True
    assert (fill_at_once(manager, requests, ids, {})[ids.index("3")] == -1).all()
    assert not asked
    requests["3"].structured_output_request._grammar._is_terminated = False
    constraint = SimpleNamespace(structured_output_request_ids=ids, grammar_bitmask=expected)
    scheduled = SimpleNamespace(scheduled_spec_decode_tokens={})
    mask = grammars.masking_at_once(apply_grammar_bitmask)
    for order in (list(requests), ids, [*ids[:7], "free", *ids[7:], "free too"]):
        batch = SimpleNamespace(req_ids=order, req_id_to_index={one: row for row, one in enumerate(order)})
        logits = torch.randn(len(order), VOCABULARY)
        theirs, mine = logits.clone(), logits.clone()
        apply_grammar_bitmask(scheduled, constraint, batch, theirs)
        mask(scheduled, constraint, batch, mine)
        assert torch.equal(mine, theirs)


def compare_accepting(compiler: Any, tokenizer: Any) -> None:
    """Told later, a grammar's masks are the same at each step; what it doesn't allow can only end."""
    tokens = [*tokenizer.encode('{"nota": 3, "feedback": "Bé."}', add_special_tokens=False), EOS]
    compiled = compiler.compile_grammar(ours.GRAMMAR)
    manager = SimpleNamespace(
        reasoner_cls=None, _grammar_bitmask=xgrammar.allocate_token_bitmask(1, VOCABULARY)
    )
    request = dict(stand_ins(compiled, [""]))["0"]
    request.use_structured_output = True
    accept = grammars.accepting_later(StructuredOutputManager.accept_tokens)
    fill = grammars.filling_at_once(StructuredOutputManager.grammar_bitmask)
    matcher = xgrammar.GrammarMatcher(compiled)
    expected = xgrammar.allocate_token_bitmask(1, VOCABULARY)
    for token in tokens:
        matcher.fill_next_token_bitmask(expected)
        assert (fill(manager, {"0": request}, ["0"], {}) == expected.numpy()).all()
        assert matcher.accept_token(token)
        assert accept(manager, request, [token])
    assert (fill(manager, {"0": request}, ["0"], {}) == -1).all(), "it has ended"
    wrong = dict(stand_ins(compiled, ['{"nota": ']))["0"]
    assert accept(manager, wrong, tokenizer.encode("x", add_special_tokens=False)[:1])
    bits = fill(manager, {"0": wrong}, ["0"], {})[0].view("uint8")
    allowed = [number for number in range(VOCABULARY) if bits[number // 8] >> number % 8 & 1]
    assert allowed == [EOS]
    several = dict(stand_ins(compiled, ['{"nota": ', '{"nota": ', ""]))
    three, letter = (tokenizer.encode(text, add_special_tokens=False)[:1] for text in ("3", "x"))
    assert accept(manager, several["0"], letter)
    assert accept(manager, several["1"], three)
    manager._grammar_bitmask = xgrammar.allocate_token_bitmask(3, VOCABULARY)
    masks = fill(manager, several, list(several), {})
    assert (masks[0].view("uint8") == bits).all()
    for row, text in ((1, '{"nota": 3'), (2, "")):
        matcher = xgrammar.GrammarMatcher(compiled)
        assert matcher.accept_string(text)
        matcher.fill_next_token_bitmask(expected)
        assert (masks[row] == expected.numpy()).all()
    assert several["1"].structured_output_request._grammar.num_processed_tokens == 1


if __name__ == "__main__":
    demo = AutoTokenizer.from_pretrained(sys.argv[1])
    info = xgrammar.TokenizerInfo.from_huggingface(demo, vocab_size=VOCABULARY)
    compiler = xgrammar.GrammarCompiler(info, max_threads=1)
    check_language(compiler)
    check_once()
    check_starting()
    compare_masks(compiler)
    compare_accepting(compiler, demo)
    print("the same")
