"""Every word by which a program can tell why a text has no mark. More may come; none of these goes.

Whatever gives such a word uses this very file (links in the folders of postprocess and the orchestrator).
"""

from __future__ import annotations

from typing import Final, Literal, get_args

ItemErrorCode = Literal[
    # before Triton, and when it fails
    "blank_answer",
    "inference_error",
    "item_timeout",
    "model_crashed",
    "no_mark",
    "stream_broken",
    "too_long",
    "unusable_output",
    # preprocess
    "assignment_too_long",
    "control_tokens",
    "course_too_long",
    "invalid_attempt",
    "prompt_too_long",
    # postprocess
    "degenerate_feedback",
    "empty_feedback",
    "empty_output",
    "invalid_encoding",
    "invalid_json",
    "invalid_nota",
    "missing_field",
    "nota_out_of_range",
    "output_truncated",
]
ITEM_ERRORS: Final[tuple[ItemErrorCode, ...]] = get_args(ItemErrorCode)
