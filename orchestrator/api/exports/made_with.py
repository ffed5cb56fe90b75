"""The columns that say what a mark was made with."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

COLUMNS: Final = ("model", "model_revision", "model_weights", "template_sha256", "sampling", "versions")


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
