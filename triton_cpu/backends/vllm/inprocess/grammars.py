"""Grammars at a fraction of vLLM's cost on the CPU, with the same masks.

vLLM parses a grammar anew for every request, and hands its compilation to another thread even where it is in
xgrammar's cache, and ours all come with the same one. It asks for masks one by one, and has minus infinity
written bit by bit; yet most rows of a step have the same mask, which is unpacked once here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from vllm.v1.structured_output import StructuredOutputManager, backend_xgrammar
from vllm.v1.structured_output.backend_xgrammar import XgrammarGrammar
from vllm.v1.worker import gpu_model_runner
from xgrammar import BatchGrammarMatcher

logger = logging.getLogger(__name__)

MAX_KNOWN = 64

Validate = Callable[[Any], None]
Start = Callable[[Any, Any], None]
Accept = Callable[[Any, Any, list[int]], bool]
Fill = Callable[[Any, dict[str, Any], list[str], dict[str, list[int]]], Any]
Apply = Callable[[Any, Any, Any, torch.Tensor], None]


def checking_once(validate: Validate) -> Validate:
    """``validate_xgrammar_grammar`` for grammars that it has not seen yet."""
    good: set[str] = set()

    def validate_once(params: Any) -> None:
        wanted = params.structured_outputs
        grammar = wanted.grammar if wanted is not None else None
        if grammar is not None and grammar in good:
            return
        validate(params)
        # One that was rewritten on the way has to be so each time.
        if grammar is not None and wanted.grammar == grammar and len(good) < MAX_KNOWN:
            good.add(grammar)

    return validate_once


def starting_at_once(start: Start) -> Start:
    """``StructuredOutputManager.grammar_init``, without another thread for a grammar that came before."""
    compiled: set[Any] = set()

    def start_at_once(manager: Any, request: Any) -> None:
        if (structured := request.structured_output_request) is None:
            return
        key = structured.structured_output_key
        in_thread = manager._use_async_grammar_compilation
        manager._use_async_grammar_compilation = in_thread and key not in compiled
        try:
            start(manager, request)
        finally:
            manager._use_async_grammar_compilation = in_thread
        if len(compiled) < MAX_KNOWN:
            compiled.add(key)

    return start_at_once


def accepting_later(accept: Accept) -> Accept:
    """``StructuredOutputManager.accept_tokens``, but a step's token is told when the next mask is asked for.

    Both walk through the same memory, which the model's weights have taken the cache from in between.
    """

    def accept_later(manager: Any, request: Any, tokens: list[int]) -> bool:
        structured = request.structured_output_request
        if structured is None:
            return accept(manager, request, tokens)
        grammar = structured._grammar
        caught_up = catch_up(grammar)
        if type(grammar) is not XgrammarGrammar or manager.reasoner_cls is not None or len(tokens) != 1:
            return caught_up and accept(manager, request, tokens)
        grammar.untold = tokens
        return caught_up

    return accept_later


def catch_up(grammar: Any) -> bool:
    """Tell a grammar the token that it wasn't told. False where it doesn't allow it."""
    untold = grammar.__dict__.pop("untold", None)
    return untold is None or grammar.accept_tokens("of this step", untold)


def catch_up_all(grammars: list[Any]) -> list[int]:
    """Tell each grammar the token that it wasn't told. Returns the places of those that don't allow it."""
    untold = [(row, grammar.__dict__.pop("untold", None)) for row, grammar in enumerate(grammars)]
    told = [(row, tokens[0]) for row, tokens in untold if tokens and not grammars[row]._is_terminated]
    matchers = [grammars[row].matcher for row, _ in told]
    accepted = BatchGrammarMatcher.batch_accept_token(matchers, [token for _, token in told])
    refused = []
    for (row, _), matcher, good in zip(told, matchers, accepted, strict=True):
        if good:
            grammars[row].num_processed_tokens += 1
            grammars[row]._is_terminated = matcher.is_terminated()
        else:
            logger.error("A token was drawn that the grammar doesn't allow: the answer ends here.")
            refused.append(row)
    return refused


def filling_at_once(fill: Fill) -> Fill:
    """``StructuredOutputManager.grammar_bitmask`` for steps of one token each. Returns shape [R, V / 32]."""
    fillers = BatchGrammarMatcher(max_threads=1)

    def fill_at_once(manager: Any, requests: Any, ids: list[str], drafts: Any) -> Any:
        masks = manager._grammar_bitmask
        grammars = [requests[request].structured_output_request._grammar for request in ids]
        if masks is None or drafts or set(map(type, grammars)) != {XgrammarGrammar}:
            for grammar in grammars:
                catch_up(grammar)
            return fill(manager, requests, ids, drafts)
        refused = catch_up_all(grammars)
        for row, grammar in enumerate(grammars):
            if grammar._is_terminated:
                masks[row] = -1
        live = [row for row, grammar in enumerate(grammars) if not grammar._is_terminated]
        fillers.batch_fill_next_token_bitmask([grammars[row].matcher for row in live], masks, live)
        for row in refused:
            # The mask didn't let its token through, so this should not happen: nothing but the end is left.
            masks[row] = torch.from_numpy(only(grammars[row].matcher.stop_token_ids, masks.shape[-1]))
        return masks[: len(ids)].numpy()

    return fill_at_once


def only(tokens: Iterable[int], words: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """The mask that lets nothing else pass. Returns shape [words]."""
    bits = np.zeros(words * 32, dtype=np.uint8)
    bits[list(tokens)] = 1
    return np.packbits(bits, bitorder="little").view(np.int32)


def masking_at_once(apply: Apply) -> Apply:
    """``apply_grammar_bitmask`` for steps of one token each. Shapes: logits [B, V], bit masks [R, V / 32]."""
    unpacked: dict[bytes, torch.Tensor] = {}

    def unpack(mask: bytes, like: torch.Tensor) -> torch.Tensor:
        """0 for what is allowed and minus infinity for the rest: to add is five times as fast as to fill."""
        bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), count=like.shape[-1], bitorder="little")
        return torch.zeros_like(like[0]).masked_fill_(torch.from_numpy(bits == 0), -float("inf"))

    def apply_at_once(scheduled: Any, constraint: Any, batch: Any, logits: torch.Tensor) -> None:
        if scheduled.scheduled_spec_decode_tokens or not logits.is_cpu:
            apply(scheduled, constraint, batch, logits)
            return
        masks = [mask.tobytes() for mask in constraint.grammar_bitmask]
        distinct = dict.fromkeys(masks)
        if len(unpacked) + len(distinct) > MAX_KNOWN:
            unpacked.clear()
        for number, mask in enumerate(distinct):
            distinct[mask] = number
            if mask not in unpacked:
                unpacked[mask] = unpack(mask, logits)
        table = torch.stack([unpacked[mask] for mask in distinct])
        rows = [batch.req_id_to_index[request] for request in constraint.structured_output_request_ids]
        added = table.index_select(0, torch.tensor([distinct[mask] for mask in masks]))
        # In place, since the caller goes on with its logits.
        if rows == list(range(len(logits))):
            logits.add_(added)
        else:
            logits.index_add_(0, torch.tensor(rows), added)

    return apply_at_once


def spare_the_grammars() -> None:
    """Have this process's engine, of which there is one, work like this."""
    backend_xgrammar.validate_xgrammar_grammar = checking_once(backend_xgrammar.validate_xgrammar_grammar)
    StructuredOutputManager.grammar_init = starting_at_once(StructuredOutputManager.grammar_init)
    StructuredOutputManager.accept_tokens = accepting_later(StructuredOutputManager.accept_tokens)
    StructuredOutputManager.grammar_bitmask = filling_at_once(StructuredOutputManager.grammar_bitmask)
    # It looks at each line for signs of another notation, each time.
    backend_xgrammar.grammar_is_likely_lark = lru_cache(MAX_KNOWN)(backend_xgrammar.grammar_is_likely_lark)
    gpu_model_runner.apply_grammar_bitmask = masking_at_once(gpu_model_runner.apply_grammar_bitmask)
