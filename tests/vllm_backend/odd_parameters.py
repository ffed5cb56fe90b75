"""Sampling parameters that nobody means: generated from a seed, the same ones each time."""

from __future__ import annotations

import json
import random
from typing import Any

HUGE = 10**30
NESTED: Any = json.loads("[" * 400 + "]" * 400)
SCALARS = [
    None, True, False, 0, -1, 1, 2, 5, 1.5, 1e308, -1e308, 1e-320, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1,
    2**64, -(2**63), -(2**63) - 1, HUGE, -HUGE, "", "0", "1", "true", "nan", "inf", "-inf", "1e999", "x",
    " 5 ", "\x00", [], [1], [[]], ["a"], {}, {"a": 1}, [None], NESTED,
]  # fmt: skip
LISTS = [
    [0], [-1], [1], [4095], [4096], [2**31], [2**64], [HUGE], [True], ["1"], [1.5], [None], [[1]], ["a", "b"],
    [""], ["\x00"], ["a" * 10_000], "abc", [1, "a"], list(range(5000)), ["a"] * 5000, {"1": 1},
]  # fmt: skip
BIASES = [
    {"1": 1}, {"1": -1e308}, {"1": 1e308}, {"1": "5"}, {"-1": 1}, {"4096": 1}, {str(HUGE): 1}, {"a": 1},
    {"1": None}, {"1.5": 1}, {"1": [1]}, {"1": True}, {str(token): -100 for token in range(4096)}, [1, 2], 5,
]  # fmt: skip
REPETITIONS = [
    {}, {"max_pattern_size": 2, "min_count": 2}, {"max_pattern_size": 2}, {"max_pattern_size": -1},
    {"max_pattern_size": HUGE, "min_count": HUGE}, {"max_pattern_size": "2", "min_count": 2}, {"x": 1},
    {"max_pattern_size": 2, "min_pattern_size": 3, "min_count": 2}, [2, 2], "x", True,
]  # fmt: skip
CONSTRAINTS = [
    {"json": ""}, {"json": "{"}, {"json": 5}, {"json": {"type": "nonsense"}}, {"json": {"$ref": "#"}},
    {"json": {"type": "string", "pattern": "("}}, {"json": {"type": "integer", "multipleOf": 3}},
    {"json": {"enum": []}}, {"json": {"type": "integer", "minimum": 10, "maximum": 1}}, {"regex": "("},
    {"regex": ""}, {"regex": "a{1000000000}"}, {"regex": "(a+)+$"}, {"regex": "\\"}, {"regex": "\x00"},
    {"regex": "[z-a]"}, {"regex": 5}, {"grammar": ""}, {"grammar": "root ::= ("},
    {"grammar": "root ::= root"}, {"grammar": "start: start"}, {"grammar": "x ::= \"a\""},
    {"grammar": ["root"]}, {"choice": []}, {"choice": [""]}, {"choice": ["\n", "\""]}, {"choice": "ab"},
    {"choice": [1]}, {"json_object": False}, {"json_object": "x"}, {"structural_tag": "{}"},
    {"structural_tag": "5"}, {}, [], 5, None, {"json": "{}", "regex": "a"}, {"other": 1},
    {"_backend": "outlines", "regex": "a"},
]  # fmt: skip
FIELDS = [
    "n", "presence_penalty", "frequency_penalty", "repetition_penalty", "temperature", "watermarking",
    "top_p", "top_k", "min_p", "seed", "stop", "stop_token_ids", "ignore_eos", "max_tokens", "min_tokens",
    "logprobs", "prompt_logprobs", "prompt_logprob_token_ids", "prompt_logprob_start", "flat_logprobs",
    "detokenize", "skip_special_tokens", "spaces_between_special_tokens", "include_stop_str_in_output",
    "stream_interval", "extra_args", "skip_reading_prefix_cache", "thinking_token_budget",
    "routed_experts_prompt_start", "trace_decode_token_ids", "allowed_token_ids", "bad_words",
    "logit_bias", "repetition_detection", "structured_outputs",
]  # fmt: skip
NOT_FOR_CLIENTS = [
    "logprob_token_ids", "output_kind", "skip_clone", "output_text_buffer_length", "_eos_token_id",
    "_all_stop_token_ids", "_bad_words_token_ids", "best_of", "truncate_prompt_tokens", "priority",
    "lora_name",
]  # fmt: skip
OF_LISTS = [
    "stop",
    "stop_token_ids",
    "bad_words",
    "allowed_token_ids",
    "trace_decode_token_ids",
    "extra_args",
]


def odd_value(draw: random.Random, field: str) -> Any:
    """Mostly something that ``field`` could nearly take, else anything."""
    if draw.random() < 0.2:
        return draw.choice(SCALARS + LISTS)
    if field == "structured_outputs":
        return json.dumps(draw.choice(CONSTRAINTS))
    fitting = {"logit_bias": BIASES, "repetition_detection": REPETITIONS, **dict.fromkeys(OF_LISTS, LISTS)}
    return draw.choice(fitting.get(field, SCALARS))


def generate(count: int, seed: int) -> list[dict[str, Any]]:
    """``count`` objects, each field in turn odd in some, with up to two more odd ones beside it.

    Every eighth has one that isn't a client's to set.
    """
    draw = random.Random(seed)
    made = []
    for number in range(count):
        fields = {FIELDS[number % len(FIELDS)], *draw.sample(FIELDS, draw.randrange(3))}
        if number % 8 == 0:
            fields.add(draw.choice(NOT_FOR_CLIENTS))
        odd = {field: odd_value(draw, field) for field in sorted(fields)}
        made.append({"temperature": draw.choice((0, 1)), "max_tokens": 6, **odd})
    return made
