"""GET /results: what is finished so far, in item order, as JSON, CSV or NDJSON."""

import csv
import io
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from orchestrator import provenance
from orchestrator.api.errors import ApiError
from orchestrator.api.jobs import find_job
from orchestrator.api.keys import SERVICE
from orchestrator.api.rows import Rows
from orchestrator.api.sending import send_pieces
from orchestrator.jobs import Job

COLUMNS = (
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
    *provenance.COLUMNS,
    "provenance_id",
)
# What a spreadsheet takes for a formula when a cell begins with it. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
MEDIA_TYPES = {
    "application/json": "json",
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
}


async def results(request: web.Request) -> web.StreamResponse:
    """Sent a part at a time, in whatever form."""
    wanted = _format(request)
    job = await find_job(request)
    rows = Rows(request.app[SERVICE].store, job.id)
    await rows.read_index()
    origins = {one.id: one.as_dict() for one in await request.app[SERVICE].store.provenances(job.id)}
    match wanted:
        case "csv":
            headers = {"Content-Type": "text/csv; charset=utf-8"}
            headers["Content-Disposition"] = f'attachment; filename="results-{job.id}.csv"'
            pieces = _csv(rows, origins)
        case "ndjson":
            headers = {"Content-Type": "application/x-ndjson; charset=utf-8"}
            pieces = _ndjson(rows, origins)
        case _:
            headers = {"Content-Type": "application/json; charset=utf-8"}
            pieces = _json(job, rows, origins)
    return await send_pieces(request, pieces, headers)


async def _json(job: Job, rows: Rows, origins: Mapping[str, Any]) -> AsyncIterator[bytes]:
    head = {
        "job_id": job.id,
        "status": job.status,
        "total_items": job.total,
        "completed": rows.completed,
        "failed_items": rows.failed,
    }
    yield orjson.dumps(head)[:-1] + b',"results":['
    comma = b""
    async for part in rows.parts():
        yield comma + orjson.dumps(part)[1:-1]
        comma = b","
    yield b'],"provenances":%b}' % orjson.dumps(origins)


async def _ndjson(rows: Rows, origins: Mapping[str, Any]) -> AsyncIterator[bytes]:
    async for part in rows.parts():
        yield b"".join(
            orjson.dumps({**row, "provenance": origins.get(str(row.get("provenance_id")))}) + b"\n"
            for row in part
        )


async def _csv(rows: Rows, origins: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[bytes]:
    yield to_csv([], origins).encode()
    async for part in rows.parts():
        yield to_csv(part, origins, heads=False).encode()


def to_csv(
    found: list[dict[str, Any]], origins: Mapping[str, Mapping[str, Any]], *, heads: bool = True
) -> str:
    """The results as CSV (RFC 4180), each row with where its mark comes from.

    A cell that a spreadsheet would run as a formula gets a `'` in front.
    """
    cells = {id_: provenance.columns(content) for id_, content in origins.items()}
    nowhere = provenance.columns({})
    text = io.StringIO()
    writer = csv.writer(text)
    if heads:
        writer.writerow(COLUMNS)
    for row in found:
        error = row["error"] or {"code": None, "message": None}
        flat = {
            **row,
            "error_code": error["code"],
            "error_message": error["message"],
            "flags": " ".join(row["flags"]),
            "mark_probabilities": " ".join(str(one) for one in row.get("mark_probabilities") or ()),
            **cells.get(str(row.get("provenance_id")), nowhere),
        }
        writer.writerow([_cell(flat.get(name)) for name in COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = value.replace("\0", "\ufffd")  # no spreadsheet reads a NUL
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


def _format(request: web.Request) -> str:
    wanted = request.query.get("format")
    if wanted is not None:
        if wanted not in MEDIA_TYPES.values():
            raise ApiError(HTTPStatus.BAD_REQUEST, "unknown_format", "format must be json, csv or ndjson.")
        return wanted
    for part in request.headers.get("Accept", "").split(","):
        found = MEDIA_TYPES.get(part.split(";")[0].strip().lower())
        if found is not None:
            return found
    return "json"
