"""How a file is to be read, as the address says; and which bodies are files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web

from avalua_client.tables import Kind
from orchestrator.api.errors import ApiError
from orchestrator.api.exports.formats import XLSX
from orchestrator.jobs import Priority

CSV: Final = "text/csv"
KINDS: Final[Mapping[str, Kind]] = {CSV: "csv", XLSX: "xlsx"}
TEXTS: Final = ("encoding", "separator", "sheet", "curso", "consigna")
COLUMN: Final = "column."
FIELDS: Final = ("respuesta", "id_alumno", "curso", "consigna")
MAX_CHARS: Final = 1000
TAB: Final = ("tab", "\\t")


@dataclass(frozen=True, slots=True)
class TableOptions:
    """``columns`` says which column holds a field, ``curso`` and ``consigna`` are for files without one.

    ``preview``: the table itself is asked for, not a job.
    """

    kind: Kind
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None
    curso: str | None = None
    consigna: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    preview: bool = False


def table_options(request: web.Request, *, preview: bool = False) -> TableOptions | None:
    """Those of a request whose body is a file; None where it is none. Raises ApiError (400)."""
    kind = KINDS.get(request.content_type)
    if kind is None:
        for name in request.query:
            if name in (*TEXTS, "priority") or name.startswith(COLUMN):
                raise _refusal(f"{name[:50]!r} goes with a CSV or XLSX: leave it out, or send such a file.")
        return None
    texts: dict[str, str] = {}
    columns: dict[str, str] = {}
    priority = Priority.NORMAL
    for name, value in request.query.items():
        if len(value) > MAX_CHARS:
            raise _refusal(f"{name} may have at most {MAX_CHARS} characters.")
        if name in TEXTS and value:
            texts[name] = value
        elif name.startswith(COLUMN) and name.removeprefix(COLUMN) in FIELDS and value:
            columns[name.removeprefix(COLUMN)] = value
        elif name == "priority":
            if value not in set(Priority):
                raise _refusal(f"priority must be one of {', '.join(Priority)}.")
            priority = Priority(value)
        else:
            known = ", ".join((*TEXTS, *(f"{COLUMN}{one}" for one in FIELDS), "priority"))
            raise _refusal(f"{name[:50]!r} is unknown or empty; a file may be told of by {known}.")
    if texts.get("separator") in TAB:
        texts["separator"] = "\t"
    return TableOptions(kind, **texts, columns=columns, priority=priority, preview=preview)


def _refusal(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_table_option", message)
