"""The columns of a table of results, and the cells of its rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from avalua_client.tables.table import Cell
from orchestrator.api.errors import ApiError
from orchestrator.api.exports import made_with
from orchestrator.jobs import Item

COLUMNS: Final = (
    "index",
    "id_alumno",
    "nota",
    "feedback",
    "status",
    "error_code",
    "error_message",
    "flags",
    "attempts",
    "confidence",
    "expected_mark",
    "mark_probabilities",
    "share_kept",
    *made_with.COLUMNS,
    "provenance_id",
)
# What was sent: only where it is asked for.
ITEM_COLUMNS: Final = ("curso", "consigna", "respuesta")
ALL_COLUMNS: Final = (*COLUMNS, *ITEM_COLUMNS)


def choose(wanted: str | None) -> tuple[str, ...]:
    """The columns that `wanted` names, separated by commas, in its order; without it, the usual ones.

    Raises ApiError (400).
    """
    if wanted is None:
        return COLUMNS
    names = tuple(dict.fromkeys(name.strip() for name in wanted.split(",")))
    unknown = [name for name in names if name not in ALL_COLUMNS]
    if unknown:
        message = f"columns must name some of {', '.join(ALL_COLUMNS)}, separated by commas."
        details = {"unknown": unknown, "columns": ALL_COLUMNS}
        raise ApiError(HTTPStatus.BAD_REQUEST, "unknown_column", message, details)
    return names


def rows(
    names: Sequence[str],
    results: Iterable[Mapping[str, Any]],
    origins: Mapping[str, Mapping[str, Any]],
    items: Mapping[int, Item],
) -> Iterator[list[Cell]]:
    """For each result its cells under these names. `items`, by index, are needed only for ITEM_COLUMNS."""
    of_origin = {id_: made_with.columns(content) for id_, content in origins.items()}
    nowhere = made_with.columns({})
    for result in results:
        error = result["error"] or {"code": None, "message": None}
        item = items.get(result["index"])
        cells = {
            **result,
            "error_code": error["code"],
            "error_message": error["message"],
            "flags": " ".join(result["flags"]),
            "mark_probabilities": " ".join(str(one) for one in result.get("mark_probabilities") or ()),
            **of_origin.get(str(result.get("provenance_id")), nowhere),
            **{name: getattr(item, name, None) for name in ITEM_COLUMNS},
        }
        yield [cells.get(name) for name in names]
