"""Which of our formats a request for results asks for, by `format` or by its Accept header."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from orchestrator.api.errors import ApiError

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA_TYPES: Final = {
    "json": ("application/json",),
    "csv": ("text/csv",),
    "xlsx": (XLSX,),
    "ndjson": ("application/x-ndjson", "application/ndjson", "application/jsonl"),
}


def find_format(asked: str | None, accept: Iterable[str]) -> str:
    """A name of MEDIA_TYPES; JSON where none is accepted. Raises ApiError (400) where `asked` is none."""
    if asked is not None:
        if asked not in MEDIA_TYPES:
            message = f"format must be one of {', '.join(MEDIA_TYPES)}."
            raise ApiError(HTTPStatus.BAD_REQUEST, "unknown_format", message, {"formats": list(MEDIA_TYPES)})
        return asked
    ranges = _ranges(accept)
    ranked = [(_rank(media_types, ranges), name) for name, media_types in MEDIA_TYPES.items()]
    (quality, _), best = max(ranked, key=lambda entry: entry[0])  # of equals the first, which is JSON
    return best if quality > 0 else "json"


def _ranges(accept: Iterable[str]) -> dict[str, tuple[float, int]]:
    """What the headers name, each with its quality, and minus its place: what is named first is preferred."""
    found: dict[str, tuple[float, int]] = {}
    for place, part in enumerate(",".join(accept).split(",")):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        found.setdefault(name, (_quality(parameters), -place))
    return found


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def _rank(media_types: Iterable[str], ranges: dict[str, tuple[float, int]]) -> tuple[float, int]:
    """The best of a format's names; of the ranges that fit a name the most exact one counts."""
    return max(
        next(
            (ranges[name] for name in (full, f"{full.partition('/')[0]}/*", "*/*") if name in ranges),
            (0.0, 0),
        )
        for full in media_types
    )
