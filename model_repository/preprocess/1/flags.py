"""What a teacher should know about a text before trusting its mark, in the order in which it is told."""

from __future__ import annotations

TRUNCATED = "truncated"
INSTRUCTION_LIKE = "instruction_like"
CONTROL_TOKENS = "control_tokens"
COPIED_PROMPT = "copied_prompt"
DAMAGED_TEXT = "damaged_text"
ORDER = (TRUNCATED, INSTRUCTION_LIKE, CONTROL_TOKENS, COPIED_PROMPT, DAMAGED_TEXT)
