"""Names that an object gives twice: readers of JSON keep the last one, and the others would be lost."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from orchestrator.api.errors import ApiError


@dataclass(frozen=True, slots=True)
class _Object:
    """What has to be known of an object: its names, and what `items` it holds. Texts are not kept."""

    names: list[str]
    items: list[Any]


def repeated_names(body: bytes, fields: Sequence[str], count: int) -> list[dict[str, Any]]:
    """The index and field of each name that is given twice, in a valid body with `count` items.

    Index None: outside of the items. Raises ApiError (400) where the body lies too deep to be looked at.
    """
    # Counting costs next to nothing and clears nearly every body. One that it doesn't clear may be good.
    allowed = {"items": 1, "priority": 1, **dict.fromkeys(fields, count)}
    if all(body.count(f'"{name}"'.encode()) <= limit for name, limit in allowed.items()):
        return []
    try:
        whole = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_object)
    except RecursionError:
        message = "The body is not valid JSON: lists or objects lie too deep in each other."
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_json", message) from None
    problems: list[dict[str, Any]] = [
        {"index": None, "field": name} for name in ("items", "priority") if whole.names.count(name) > 1
    ]
    if problems:
        return problems
    if not isinstance(whole, _Object) or not whole.items or not isinstance(whole.items[0], list):
        return []
    items = whole.items[0]
    return [
        {"index": index, "field": field}
        for index, item in enumerate(items)
        if isinstance(item, _Object) and len(set(item.names)) < len(item.names)
        for field in fields
        if item.names.count(field) > 1
    ]


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    return _Object([name for name, _ in pairs], [value for name, value in pairs if name == "items"])
