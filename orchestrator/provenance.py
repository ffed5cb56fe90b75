"""What marks were made with: asked of Triton once a connection, kept with each job."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from orchestrator import __version__

ID_CHARS: Final = 16
COLUMNS: Final = ("model", "model_revision", "model_weights", "template_sha256", "sampling", "versions")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Model, engine, template, sampling and versions as one JSON object, and an id that is its hash."""

    id: str
    payload: str

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, **orjson.loads(self.payload)}


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


def columns(content: Mapping[str, Any]) -> dict[str, Any]:
    """The cells by which a row of a table says where its mark comes from; `content` may be empty."""
    told = content.get("model")
    model = told if isinstance(told, dict) else {}
    return {
        "model": model.get("name"),
        "model_revision": model.get("revision"),
        "model_weights": model.get("weights") or model.get("weights_sampled"),
        "template_sha256": content.get("template_sha256"),
        "sampling": _json(content.get("sampling")),
        "versions": _json(content.get("versions")),
    }


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
