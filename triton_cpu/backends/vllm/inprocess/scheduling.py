"""Which sequence gets its next token, decided with less work.

vLLM's scheduler looks for room in the KV cache for each sequence at each step, though a block has room for
many tokens; and it lets requests in one by one as others leave, so that nearly every step reads prompts
beside writing answers, which costs more than reading a few at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vllm.v1.core.kv_cache_manager import KVCacheManager
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.core.single_type_kv_cache_manager import FullAttentionManager, SlidingWindowManager

Allocate = Callable[..., Any]
Schedule = Callable[..., Any]

GROUP_SHARE = 16
"""Requests are let in when a sixteenth of the batch is free ..."""
MAX_STEPS_HELD = 4
"""... or after so many steps."""


def plain_block_size(manager: Any) -> int:
    """How many tokens a block holds; 0 where a step does more than to fill blocks one after another."""
    kinds = manager.coordinator.single_type_managers
    sizes = {kind.block_size for kind in kinds}
    plain = all(
        # A window that is wider than any text never leaves a block behind.
        type(kind) in (FullAttentionManager, SlidingWindowManager)
        and kind.get_num_skipped_tokens(manager.max_model_len) <= 0
        for kind in kinds
    )
    return sizes.pop() if plain and len(sizes) == 1 else 0


def allocating_by_block(allocate: Allocate) -> Allocate:
    """``KVCacheManager.allocate_slots`` that knows when a single token goes into a block that is there.

    Nothing is to be done then: the block was given when its first token came, and is kept for others that
    begin alike when its last one is there.
    """

    def allocate_by_block(
        manager: Any, request: Any, num_new_tokens: int, *, num_lookahead_tokens: int = 0, **named: Any
    ) -> Any:
        if num_new_tokens == 1 and not num_lookahead_tokens and not named:
            try:
                size = manager.plain_block_size
            except AttributeError:
                size = manager.plain_block_size = plain_block_size(manager)
            if size and 0 < request.num_computed_tokens % size < size - 1:
                return manager.empty_kv_cache_blocks
        return allocate(manager, request, num_new_tokens, num_lookahead_tokens=num_lookahead_tokens, **named)

    return allocate_by_block


def admitting_in_groups(schedule: Schedule) -> Schedule:
    """``Scheduler.schedule`` that lets requests into a batch that is nearly full some at a time."""
    steps_held = 0

    def schedule_groups(scheduler: Any, *args: Any, **named: Any) -> Any:
        nonlocal steps_held
        most, running = scheduler.max_num_active_reqs, len(scheduler.running)
        free = most - running
        if 0 < free < most // GROUP_SHARE and scheduler.waiting and steps_held < MAX_STEPS_HELD:
            steps_held += 1
            scheduler.max_num_active_reqs = running
        else:
            steps_held = 0
        try:
            return schedule(scheduler, *args, **named)
        finally:
            scheduler.max_num_active_reqs = most

    return schedule_groups


def schedule_with_less_work() -> None:
    """Have this process's engine, of which there is one, work like this."""
    KVCacheManager.allocate_slots = allocating_by_block(KVCacheManager.allocate_slots)
    Scheduler.schedule = admitting_in_groups(Scheduler.schedule)
