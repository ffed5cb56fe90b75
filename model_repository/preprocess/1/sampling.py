"""How the model samples: fixed by us, never by a client. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

# Source of the first three: the service's original requirements.
BASE = {"temperature": 0.1, "top_p": 0.95, "max_tokens": 200, "skip_special_tokens": True}


def sampling_parameters(curso: str, consigna: str, respuesta: str, *, attempt: int) -> dict[str, Any]:
    """vLLM sampling parameters for one attempt (from 1) at one answer.

    The seed comes from the content, so the same answer is marked alike every time, and from the
    attempt, so that trying again can end otherwise.
    """
    digest = hashlib.sha256("\x1f".join((curso, consigna, respuesta, str(attempt))).encode("utf-8", "replace"))
    return {**BASE, "seed": int.from_bytes(digest.digest()[:4], "big")}
