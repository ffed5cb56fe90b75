"""What a teacher should know about a text before trusting its mark, in the order in which it is told.

Postprocess and the orchestrator use this very file (links in their folders). More may come; none of these
goes.
"""

from __future__ import annotations

TRUNCATED = "truncated"
INSTRUCTION_LIKE = "instruction_like"
CONTROL_TOKENS = "control_tokens"
COPIED_PROMPT = "copied_prompt"
DAMAGED_TEXT = "damaged_text"
ORDER = (TRUNCATED, INSTRUCTION_LIKE, CONTROL_TOKENS, COPIED_PROMPT, DAMAGED_TEXT)
"""Those of preprocess. A note holds them as bits, by their places here."""
LOW_CONFIDENCE = "low_confidence"
UNCHECKED = "unchecked"
"""Of an item of which preprocess told nothing, such as one whose request had no id."""
FLAGS = (*ORDER, LOW_CONFIDENCE, UNCHECKED)
