"""What marks are made with, as Triton's preprocess tells it."""

import hashlib
from typing import Final

import orjson

from orchestrator import __version__
from orchestrator.jobs.provenance import Provenance

ID_CHARS: Final = 16


def read_provenance(told: str, triton_version: str) -> Provenance | None:
    """What Triton's preprocess told, with the versions that it does not know; None where it is no object."""
    try:
        content = orjson.loads(told)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict):
        return None
    versions = content.get("versions")
    known = versions if isinstance(versions, dict) else {}
    content["versions"] = {**known, "triton": triton_version, "avalua": __version__}
    payload = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return Provenance(hashlib.sha256(payload).hexdigest()[:ID_CHARS], payload.decode())
