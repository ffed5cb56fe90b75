"""Every word by which a program can tell what became of a text. More may come; none of these goes."""

from typing import Final

ITEM_ERRORS: Final = (
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
)
FLAGS: Final = (
    "truncated",
    "instruction_like",
    "control_tokens",
    "copied_prompt",
    "damaged_text",
    "low_confidence",
    "unchecked",
)
