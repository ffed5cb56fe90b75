"""A file into a job, or into what is shown before there is one. Blocking: for a process of its own."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import orjson

from avalua_client.tables import Limits, Prepared, Table, TableError, find_columns, prepare, read
from orchestrator.api.codes import code_of
from orchestrator.api.errors import ApiError
from orchestrator.api.schemas import MAX_PROBLEMS, parse_request
from orchestrator.api.table_options import TableOptions
from orchestrator.config import Settings
from orchestrator.store.posted import Posted, posted

NOT_AN_ITEM = "not_an_item"
TOO_LARGE = frozenset({
    "file_too_large", "workbook_too_large", "too_many_rows", "too_many_columns", "too_many_cells",
})  # fmt: skip


def read_table(data: bytes, options: TableOptions, settings: Settings) -> Posted | bytes:
    """The job in a file, or, where the options ask for it, the table as JSON. Raises ApiError."""
    try:
        table = read(
            data,
            kind=options.kind,
            encoding=options.encoding,
            separator=options.separator,
            sheet=options.sheet,
            limits=Limits(max_bytes=settings.max_body_bytes, seconds=settings.parse_timeout_s / 3),
        )
        if options.preview:
            return preview(table, options)
        columns = find_columns(table.columns, options.columns)
        prepared = prepare(table, columns, curso=options.curso, consigna=options.consigna)
    except TableError as error:
        raise as_api_error(error) from None
    return job(table, prepared, options, settings)


def job(table: Table, prepared: Prepared, options: TableOptions, settings: Settings) -> Posted:
    """Every row that holds an item is one, or all are refused, with row and cell of each that can't be."""
    problems = [problem for problem in prepared.problems if problem.code != NOT_AN_ITEM]
    if problems:
        first, others = problems[0], len(problems) - 1
        more = f" {others} more rows have to be mended." if others else ""
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid_items",
            f"Row {first.row}: {first.message}{more}",
            {"total": len(problems), "problems": [asdict(one) for one in problems[:MAX_PROBLEMS]]},
        )
    body = orjson.dumps({"items": prepared.items, "priority": options.priority})
    try:
        return posted(*parse_request(body, settings))
    except ApiError as error:
        for problem in error.details.get("problems", ()) if isinstance(error.details, dict) else ():
            if problem.get("index") is not None:
                problem["row"] = table.row_numbers[prepared.rows[problem["index"]]]
        raise


def preview(table: Table, options: TableOptions) -> bytes:
    """What was read and how, which column holds what, and which rows can't be marked."""
    answer: dict[str, Any] = {
        **asdict(table.source),
        "columns": list(table.columns),
        "fields": None,
        "rows": [
            {"row": number, "cells": cells}
            for number, cells in zip(table.row_numbers, table.rows, strict=True)
        ],
        "items": None,
        "problems": [],
        "error": None,
        "notes": table.notes,
    }
    try:
        columns = find_columns(table.columns, options.columns)
        answer["fields"] = {key: value for key, value in asdict(columns).items() if key != "evaluaciones"}
        prepared = prepare(table, columns, curso=options.curso, consigna=options.consigna)
        answer["items"] = len(prepared.items)
        answer["problems"] = [asdict(problem) for problem in prepared.problems]
    except TableError as error:
        # It is for a person to say which column is meant; the rows help with that.
        answer["error"] = {"code": error.code, "message": error.message}
    return orjson.dumps(answer)


def as_api_error(error: TableError) -> ApiError:
    too_large = error.code in TOO_LARGE
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.UNPROCESSABLE_ENTITY
    return ApiError(status, code_of(error), error.message, dict(error.details) or None)
