"""GET /results: what is finished so far, in item order, as JSON, CSV, an Excel workbook or NDJSON."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from orchestrator.api.errors import ApiError, json_response
from orchestrator.api.exports import columns
from orchestrator.api.exports.formats import MEDIA_TYPES, find_format
from orchestrator.api.exports.locales import POINT, find_locale
from orchestrator.api.exports.tables import TABLES, make_table, pieces
from orchestrator.api.jobs import find_job
from orchestrator.api.keys import SERVICE
from orchestrator.events import one_line, results_in


async def results(request: web.Request) -> web.Response:
    wanted = find_format(request.query.get("format"), request.headers.getall("Accept", ()))
    if wanted not in TABLES and not request.query.keys().isdisjoint(("columns", "locale")):
        message = (
            "columns and locale go with format=csv or format=xlsx: leave them out, or ask for one of these."
        )
        raise ApiError(HTTPStatus.BAD_REQUEST, "not_a_table", message)
    names = columns.choose(request.query.get("columns"))
    locale = find_locale(request.query["locale"]) if "locale" in request.query else POINT
    job = await find_job(request)
    store = request.app[SERVICE].store
    stored = await store.events(job.id, 0)
    origins = {one.id: one.as_dict() for one in await store.provenances(job.id)}
    if wanted == "json":
        found = _in_item_order(stored)
        return json_response(
            {
                "job_id": job.id,
                "status": job.status,
                "total_items": job.total,
                "completed": len(found),
                "failed_items": sum(row["status"] == "failed" for row in found),
                "results": found,
                "provenances": origins,
            }
        )
    wants_items = not set(names).isdisjoint(columns.ITEM_COLUMNS)
    items = {item.index: item for item in await store.items(job.id)} if wants_items else {}

    def content() -> bytes:
        found = _in_item_order(stored)
        if wanted == "ndjson":
            return b"".join(ndjson_lines(found, origins))
        table = make_table(wanted, names, locale)
        return b"".join(pieces(table, columns.rows(names, found, origins, items)))

    # A workbook of 2000 texts takes its time, and everybody else's streams go on meanwhile.
    body = await asyncio.to_thread(content)
    headers = {}
    if wanted in TABLES:
        headers["Content-Disposition"] = f'attachment; filename="results-{job.id}.{wanted}"'
    charset = "utf-8" if wanted != "xlsx" else None
    return web.Response(body=body, content_type=MEDIA_TYPES[wanted][0], charset=charset, headers=headers)


def ndjson_lines(
    found: Iterable[Mapping[str, Any]], origins: Mapping[str, Mapping[str, Any]]
) -> Iterator[bytes]:
    """A line for each result, with what its mark was made with."""
    for row in found:
        line = {**row, "provenance": origins.get(str(row.get("provenance_id")))}
        yield one_line(orjson.dumps(line)) + b"\n"


def _in_item_order(stored: Iterable[tuple[int, bytes]]) -> list[dict[str, Any]]:
    found = (result for _, payload in stored for result in results_in(payload))
    return sorted(found, key=lambda row: row["index"])
