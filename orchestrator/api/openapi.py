"""The API described, from the schemas that check the requests and the settings that limit them."""

from typing import Any

from pydantic.json_schema import models_json_schema

from orchestrator import __version__
from orchestrator.api.components import ANSWERS, ref
from orchestrator.api.exports.columns import ALL_COLUMNS
from orchestrator.api.exports.formats import MEDIA_TYPES, XLSX
from orchestrator.api.schemas import EvaluateRequest, length_limits
from orchestrator.api.table_options import FIELDS, MAX_CHARS
from orchestrator.config import Settings

# What `\\S` means to us, which it does not in every language: a character that is no white space in Unicode.
NOT_BLANK = r"[^\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
JOB_ID = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
    "description": "The id that `POST /evaluate` answered.",
}
TAGS = {
    "jobs": "Texts in, marks out.",
    "tables": "Files of spreadsheets.",
    "service": "For who runs it.",
}
STREAM = """Server-sent events, unnamed, each with an `id`. The data is
`{"event": "batch_complete", "data": {...}}` for every ten results in the order in which they finished, then
once `{"event": "complete", "data": {...}}`. A new subscriber gets every batch from the first.
`Last-Event-ID` goes on behind that event; 204 when that was the last. Where the job expires meanwhile the
last message is `{"event": "error", "data": {"code": "job_expired", "error": "..."}}`, without an id."""
RESULTS_NOTE = """What is finished so far, in item order. CSV is UTF-8 with a byte order mark, each cell in
quotes. In its texts a `'` stands before a sign that could begin a formula, at the start of the cell or behind
a separator, line break or space in it; a text that is a number (`-12`) stays as it is. Rows join by `index`,
and ids as they were sent are in the other formats."""
TABLE_PARAMETERS = [
    {
        "name": "columns",
        "in": "query",
        "schema": {"type": "string"},
        "description": f"For csv and xlsx: some of {', '.join(ALL_COLUMNS)}; with commas, in your order.",
    },
    {
        "name": "locale",
        "in": "query",
        "schema": {"type": "string", "examples": ["ca", "es-MX"]},
        "description": "For csv: the separator and the decimal sign of a language's spreadsheets.",
    },
]
OPTION = {"type": "string", "minLength": 1, "maxLength": MAX_CHARS}
FILE_PARAMETERS = [
    {
        "name": name,
        "in": "query",
        "schema": ref("Priority") if name == "priority" else OPTION,
        "description": f"For a CSV or XLSX: {words}",
    }
    for name, words in {
        "encoding": "the encoding of a CSV, where another one was found.",
        "separator": "the separator of a CSV, where another one was found; `tab` is one.",
        "sheet": "the sheet of a workbook, where it is not the first one.",
        "curso": "of all texts, where the file has no such column.",
        "consigna": "of all texts, where the file has no such column.",
        **{f"column.{one}": f"the column of `{one}`: its heading, letter or number." for one in FIELDS},
        "priority": "the job's share while several run.",
    }.items()
]
SSE_EVENT = {
    "type": "object",
    "description": "Each event of the stream.",
    "required": ["data"],
    "properties": {
        "id": {"type": "string", "description": "Its number; only an error has none."},
        "data": {
            "type": "string",
            "description": "An `Event` as JSON.",
            "contentMediaType": "application/json",
            "contentSchema": ref("Event"),
        },
    },
}


def build_openapi(settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    _, schemas = models_json_schema(
        [(EvaluateRequest, "validation")], ref_template="#/components/schemas/{model}"
    )
    components: dict[str, Any] = schemas["$defs"]
    components["EvaluateRequest"]["properties"]["items"]["maxItems"] = settings.max_items
    for field, limit in length_limits(settings).items():
        described = components["ItemIn"]["properties"][field]
        described["maxLength"] = limit
        if "pattern" in described:
            described["pattern"] = NOT_BLANK
    components |= ANSWERS
    notice = f"\n\n**{settings.model_notice}**" if settings.model_notice else ""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Avalua",
            "version": __version__,
            "description": f"Marks student texts with a fine-tuned Gemma 2, ten results an event.{notice}",
        },
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": _paths(),
        "components": {"schemas": components},
    }


def _paths() -> dict[str, Any]:
    gone = {"404": _error("There is no such job."), "410": _error("The job has expired.")}
    after = {
        "schema": {"type": "string", "pattern": "^[0-9]{0,9}$"},
        "description": "Go on behind this event; empty means from the first.",
    }
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        # Blanks around a header's value are no part of it.
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
        "description": "A repeated POST with the same key returns the first job.",
    }
    wanted = {"name": "format", "in": "query", "schema": {"enum": list(MEDIA_TYPES)}}
    listed = {
        "application/json": {"schema": ref("Results")},
        "text/csv": {"schema": {"type": "string"}},
        XLSX: {"schema": {"type": "string", "format": "binary"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    }
    late = _error("The body did not arrive in time, or comes too slowly.")
    files = {
        "text/csv": {"schema": {"type": "string", "format": "binary"}},
        XLSX: {"schema": {"type": "string", "format": "binary"}},
    }
    body = {
        "required": True,
        "content": {"application/json": {"schema": ref("EvaluateRequest")}, **files},
    }
    read = {
        "200": _json("What was read and how; nothing is kept.", "Table"),
        "400": _error("An option that is unknown, or the body can't be read."),
        "408": late,
        "422": _error("The file can't be used: empty, damaged, no text, an unknown encoding ..."),
    }
    accepted = {
        "202": _json("The job is on disk and starts at once.", "Accepted"),
        "400": _error("The body is not JSON in UTF-8, with line, column and item, or has no items."),
        "408": late,
        "409": _error("The key came with another body before."),
        "422": _error(
            "Fields are missing, empty, too long, of the wrong type or given twice: each with its index."
        ),
        "429": _error("Too many jobs are waiting; see Retry-After."),
        "503": _error("Not ready: model, database, shutdown, or too many bodies; see Retry-After."),
    }
    last_ids = [
        {"name": "Last-Event-ID", "in": "header", **after},
        {"name": "last_event_id", "in": "query", **after},
    ]
    streamed = {
        "200": {"description": STREAM, "content": {"text/event-stream": {"schema": SSE_EVENT}}},
        "204": {"description": "The final event was seen already."},
        "400": _error("That is not the id of an event."),
        **gone,
    }
    healthy = {"200": _json("Healthy.", "Health"), "503": _json("Unhealthy.", "Health")}
    ok = {"200": {"description": "Yes."}}
    return {
        "/evaluate": {
            "post": _call(
                "evaluate",
                "jobs",
                "Send texts",
                _changing(accepted),
                [key, *FILE_PARAMETERS],
                requestBody=body,
            )
        },
        "/tables": {
            "post": _call(
                "readTable",
                "tables",
                "Look at a file",
                _changing(read),
                FILE_PARAMETERS,
                requestBody={"required": True, "content": files},
            )
        },
        "/stream/{job_id}": {
            "get": _call("streamJob", "jobs", "Results as they come", streamed, [JOB_ID, *last_ids])
        },
        "/status/{job_id}": {
            "get": _call(
                "getStatus", "jobs", "How far a job is", {"200": _json("The job.", "Job"), **gone}, [JOB_ID]
            )
        },
        "/results/{job_id}": {
            "get": _call(
                "getResults",
                "jobs",
                "Results so far",
                {
                    "200": {"description": RESULTS_NOTE, "content": listed},
                    "400": _error(
                        "An unknown format, column or locale, or one that the format doesn't have."
                    ),
                    **gone,
                },
                [JOB_ID, wanted, *TABLE_PARAMETERS],
            )
        },
        "/cancel/{job_id}": {
            "post": _call(
                "cancelJob",
                "jobs",
                "Stop a job; what is finished stays",
                _changing({"202": _json("Ended.", "Job"), **gone}),
                [JOB_ID],
            )
        },
        "/health": {"get": _call("getHealth", "service", "How the service is", healthy)},
        "/health/live": {"get": _call("getLiveness", "service", "Whether the process lives", ok)},
        "/health/ready": {
            "get": _call(
                "getReadiness", "service", "Whether jobs are taken", {**ok, "503": {"description": "No."}}
            )
        },
        "/metrics": {
            "get": _call("getMetrics", "service", "Figures for Prometheus", {"200": {"description": "Text."}})
        },
    }


def _call(
    name: str,
    tag: str,
    summary: str,
    responses: dict[str, Any],
    parameters: list[Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    refused = {
        "400": _error("The request can't be read, or names no host."),
        "421": _error("The service does not answer under that name: see ALLOWED_HOSTS."),
        "431": _error("The address or a header is too long."),
        "503": _error("Too many connections are open; see Retry-After."),
    }
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters or [],
        "responses": {**refused, **responses},
        **more,
    }


def _changing(responses: dict[str, Any]) -> dict[str, Any]:
    """The answers of what changes something, which pages of other sites may not ask for."""
    refused = {
        "403": _error("A page of another site asked, and CORS_ORIGINS does not name it."),
        "413": _error("Too many items, or too large a body."),
        "415": _error("The body is of another type, or packed otherwise than with gzip or deflate."),
        "417": _error("Expect may only say 100-continue."),
    }
    return {**refused, **responses}


def _json(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref(name)}}}


def _error(description: str) -> dict[str, Any]:
    return _json(description, "Error")
