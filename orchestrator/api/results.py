"""GET /results: what is finished so far, in item order, as JSON, CSV, an Excel workbook or NDJSON."""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from http import HTTPStatus
from typing import IO, Any

import orjson
from aiohttp import web

from avalua_client.tables.locales import POINT, Locale, find_locale
from avalua_client.tables.table import Cell, TableError
from orchestrator.api.codes import ErrorCode, code_of
from orchestrator.api.errors import RETRY_AFTER_S, ApiError, job_expired
from orchestrator.api.exports import columns
from orchestrator.api.exports.formats import MEDIA_TYPES, find_format
from orchestrator.api.exports.tables import TABLES, Table, make_table
from orchestrator.api.jobs import find_job
from orchestrator.api.keys import SERVICE
from orchestrator.api.rows import Rows
from orchestrator.api.sending import PIECE_BYTES, send_pieces
from orchestrator.frames import one_line
from orchestrator.jobs import Item, Job

EXPORT_WAIT_S = 30.0


async def results(request: web.Request) -> web.StreamResponse:
    """Sent a part at a time, in whatever form."""
    wanted = find_format(request.query.get("format"), request.headers.getall("Accept", ()))
    if wanted not in TABLES and not request.query.keys().isdisjoint(("columns", "locale")):
        message = (
            "columns and locale go with format=csv or format=xlsx: leave them out, or ask for one of these."
        )
        raise ApiError(HTTPStatus.BAD_REQUEST, "not_a_table", message)
    names = columns.choose(request.query.get("columns"))
    locale = _locale(request.query["locale"]) if "locale" in request.query else POINT
    job = await find_job(request)
    service = request.app[SERVICE]
    rows = Rows(service.store.reading, job.id)
    await rows.read_index()
    if rows.completed < job.completed:  # it expired just now, and some are deleted already
        raise job_expired()
    origins = {one.id: one.as_dict() for one in await service.store.reading.provenances(job.id)}
    charset = "" if wanted == "xlsx" else "; charset=utf-8"
    headers = {"Content-Type": f"{MEDIA_TYPES[wanted][0]}{charset}"}
    if wanted == "json":
        return await send_pieces(request, _json(job, rows, origins), headers)
    if wanted == "ndjson":
        return await send_pieces(request, _ndjson(rows, origins), headers)
    headers["Content-Disposition"] = f'attachment; filename="results-{job.id}.{wanted}"'
    # A workbook and texts need memory while they are made, which sending them does not; that needs a file.
    async with _turn(request, service.tables):
        with _temporary_file() as file:
            async with _turn(request, service.exports):
                items: dict[int, Item] = {}
                if not set(names).isdisjoint(columns.ITEM_COLUMNS):
                    items = {item.index: item for item in await service.store.reading.items(job.id)}
                await _write_table(
                    file,
                    lambda: make_table(wanted, names, locale),
                    rows,
                    lambda part: columns.rows(names, part, origins, items),
                )
            return await send_pieces(request, _content(file), headers, length=file.seek(0, io.SEEK_END))


def _locale(name: str) -> Locale:
    try:
        return find_locale(name)
    except TableError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, code_of(error), error.message, error.details) from None


@asynccontextmanager
async def _turn(request: web.Request, places: asyncio.Semaphore) -> AsyncIterator[None]:
    """One of the few places for a table; ConnectionError if the client left while it waited."""
    try:
        async with asyncio.timeout(EXPORT_WAIT_S):
            await places.acquire()
    except TimeoutError:
        raise _later("too_many_exports", "Too many tables are being made or sent; try again later.") from None
    try:
        if request.transport is None:
            raise ConnectionResetError("nobody waits for the table any more")
        yield
    finally:
        places.release()


@contextmanager
def _temporary_file() -> Iterator[IO[bytes]]:
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  closed below
    except OSError:
        raise _no_file() from None
    try:
        yield file
    finally:
        with suppress(OSError):  # of what could not be written, which was said by now
            file.close()


def _no_file() -> ApiError:
    return _later("storage_unavailable", "No file can be made; try again later, or take JSON.")


def _later(code: ErrorCode, message: str) -> ApiError:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, code, message, headers=headers)


async def _json(job: Job, rows: Rows, origins: Mapping[str, Any]) -> AsyncIterator[bytes]:
    head = {
        "job_id": job.id,
        "status": job.status,
        "total_items": job.total,
        "completed": rows.completed,
        "failed_items": rows.failed,
    }
    before = orjson.dumps(head)[:-1] + b',"results":['
    async for part in rows.parts():
        yield before + orjson.dumps(part)[1:-1]
        before = b","
    yield (b"" if before == b"," else before) + b'],"provenances":%b}' % orjson.dumps(origins)


async def _ndjson(rows: Rows, origins: Mapping[str, Any]) -> AsyncIterator[bytes]:
    async for part in rows.parts():
        yield b"".join(ndjson_lines(part, origins))


def ndjson_lines(
    found: Iterable[Mapping[str, Any]], origins: Mapping[str, Mapping[str, Any]]
) -> Iterator[bytes]:
    """A line for each result, with what its mark was made with."""
    for row in found:
        line = {**row, "provenance": origins.get(str(row.get("provenance_id")))}
        yield one_line(orjson.dumps(line)) + b"\n"


async def _write_table(
    file: IO[bytes],
    make: Callable[[], Table],
    rows: Rows,
    cells: Callable[[list[dict[str, Any]]], Iterable[Sequence[Cell]]],
) -> None:
    """Writes all rows in threads: 2000 texts take a while, and everybody else's streams go on meanwhile."""
    try:
        with closing(make()) as table:
            async for part in rows.parts():
                await asyncio.to_thread(_write, file, table.add, cells(part))
            await asyncio.to_thread(_write, file, table.finish)
        await asyncio.to_thread(file.flush)
    except OSError:
        raise _no_file() from None


def _write(file: IO[bytes], make: Any, *arguments: Any) -> None:
    for piece in make(*arguments):
        file.write(piece)


async def _content(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece
