"""Tokens told when somebody hears them.

vLLM decodes, counts and wraps each sequence's token at every step, also where only the finished answer is
asked for. Here such a request's tokens are held, as they come, from its second one on until its last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine import EngineCoreOutput
from vllm.v1.engine.output_processor import OutputProcessor
from vllm.v1.outputs import LogprobsLists

Process = Callable[..., Any]


def may_be_held(state: Any) -> bool:
    """Whether nobody asks for what this request (``RequestState``) has written before it is done."""
    return (
        state.output_kind == RequestOutputKind.FINAL_ONLY
        and state.detokenizer is not None
        # The text decides after each token whether it ends there.
        and not getattr(state.detokenizer, "stop", ())
        and not state.streaming_input
    )


def is_plain(output: EngineCoreOutput) -> bool:
    """Tokens and their log-probabilities, and nothing else to be told."""
    return (
        output.finish_reason is None
        and output.events is None
        and output.new_sampling_mask is None
        and output.routed_experts is None
        and not output.num_nans_in_logits
    )


def join(held: list[EngineCoreOutput], last: EngineCoreOutput) -> None:
    """Put what was held before the ``last``. Log-probabilities are lists, as ``logprobs.py`` makes them."""
    every = [*held, last]
    last.new_token_ids = [token for output in every for token in output.new_token_ids]
    found = [output.new_logprobs for output in every if output.new_logprobs is not None]
    if found:
        last.new_logprobs = LogprobsLists(
            *([row for lists in found for row in lists[part]] for part in range(3)), None
        )


def holding(process: Process) -> Process:
    """``OutputProcessor.process_outputs`` that sees the first token of a held request, and its end.

    Only the times between a held request's tokens are counted at each step, as vLLM counts them.
    """

    def process_what_is_told(
        processor: Any,
        outputs: list[EngineCoreOutput],
        engine_core_timestamp: float | None = None,
        iteration_stats: Any = None,
        **named: Any,
    ) -> Any:
        states, told = processor.request_states, []
        for output in outputs:
            state = states.get(output.request_id)
            if state is None:
                continue
            if state.is_prefilling:
                state.held = [] if may_be_held(state) else None
            elif (held := state.held) is not None:
                if is_plain(output):
                    held.append(output)
                    if iteration_stats is not None:
                        times = state.stats
                        between = engine_core_timestamp - times.last_token_ts
                        iteration_stats.inter_token_latencies_iter.append(between)
                        times.last_token_ts = engine_core_timestamp
                    continue
                join(held, output)
                held.clear()
            told.append(output)
        return process(processor, told, engine_core_timestamp, iteration_stats, **named)

    return process_what_is_told


def tell_what_is_heard() -> None:
    """Have this process's engine, of which there is one, work like this."""
    OutputProcessor.process_outputs = holding(OutputProcessor.process_outputs)
