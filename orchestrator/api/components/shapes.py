"""What the components are built with: JSON Schema as OpenAPI 3.1 takes it."""

from collections.abc import Iterable
from typing import Any, Final

ANYTHING: Final = {"type": "object", "additionalProperties": True}
MOMENT: Final = {"type": "string", "format": "date-time"}
MOMENT_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}
INDEX: Final = {"type": "integer", "minimum": 0, "description": "The item's place in the request."}
INDEX_OR_NULL: Final = {**INDEX, "type": ["integer", "null"]}
ROW: Final = {"type": "integer", "description": "As a spreadsheet numbers rows."}
COLUMN: Final = {"type": ["string", "null"], "description": "Its letter."}
JOB_ID: Final = {"type": "string", "format": "uuid"}
COUNT: Final = {"type": "integer", "minimum": 0}


def ref(name: str) -> dict[str, str]:
    """The component of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(name: str, description: str) -> dict[str, Any]:
    """That component, or null."""
    return {"anyOf": [ref(name), {"type": "null"}], "description": description}


def words(known: Iterable[str], description: str) -> dict[str, Any]:
    """One of these."""
    return {"type": "string", "enum": list(known), "description": description}


def words_today(known: Iterable[str], description: str) -> dict[str, Any]:
    """One of these, as things are today. Whatever holds one says so by `may_grow`."""
    return words(known, f"{description} More may come: take one that you don't know as text.")


def may_grow(name: str) -> dict[str, Any]:
    """One of the words of that component, or one that is newer than who reads this.

    Generated clients keep the words that they know as an enumeration, and any other as the text that it is.
    """
    return {"anyOf": [ref(name), {"type": "string"}]}


def obj(properties: dict[str, Any], description: str = "", *, optional: Iterable[str] = ()) -> dict[str, Any]:
    """An object that always has all of its properties but the optional ones. More may be added."""
    without = set(optional)
    required = [name for name in properties if name not in without]
    shape: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        shape["required"] = required
    return {**shape, "description": description} if description else shape
