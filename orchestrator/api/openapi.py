"""The API described, from the schemas that check the requests and the settings that limit them."""

from typing import Any

from pydantic.json_schema import models_json_schema

from orchestrator import __version__
from orchestrator.api.components import ANSWERS
from orchestrator.api.components.shapes import ref
from orchestrator.api.exports.formats import XLSX
from orchestrator.api.parameters import FILE_PARAMETERS, FORMAT, JOB_ID, KEY, LAST_IDS, TABLE_PARAMETERS
from orchestrator.api.schemas import EvaluateRequest, length_limits
from orchestrator.config import Settings

# What `\\S` means to us, which it does not in every language: a character that is no white space in Unicode.
NOT_BLANK = r"[^\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
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
# Tools read a stream as one text, or message by message: then the schema is that of each.
MESSAGES = {"anyOf": [ref("Message"), {"type": "string"}], "description": "Each `data` holds an `Event`."}
RETRY_AFTER = {
    "description": "Seconds after which to try again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}
LOCATION = {
    "description": "Where the job's status is.",
    "required": True,
    "schema": {"type": "string", "format": "uri-reference"},
}
FILE_NAME = {"description": "Of CSV and XLSX: a file's name.", "schema": {"type": "string"}}
TAKEN = {
    "Accept": {"description": "The types that are taken.", "schema": {"type": "string"}},
    "Accept-Encoding": {"description": "How a body may be packed.", "schema": {"type": "string"}},
}


def build_openapi(settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    _, schemas = models_json_schema(
        [(EvaluateRequest, "validation")], ref_template="#/components/schemas/{model}"
    )
    components: dict[str, Any] = schemas["$defs"]
    components["EvaluateRequest"]["properties"]["items"]["maxItems"] = settings.max_items
    # Its description says what it is without; a `default` would make openapi-typescript demand it.
    del components["EvaluateRequest"]["properties"]["priority"]["default"]
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
    return {
        "/evaluate": {"post": _evaluate()},
        "/tables": {"post": _tables()},
        "/stream/{job_id}": {"get": _stream()},
        "/status/{job_id}": {
            "get": _call(
                "getStatus",
                "jobs",
                "How far a job is",
                {"200": _json("The job.", "Job"), **_gone()},
                [JOB_ID],
            )
        },
        "/results/{job_id}": {"get": _results()},
        "/cancel/{job_id}": {
            "post": _call(
                "cancelJob",
                "jobs",
                "Stop a job; what is finished stays",
                _changing({"202": _json("Ended.", "Job"), **_gone()}),
                [JOB_ID],
            )
        },
        **_service(),
    }


def _evaluate() -> dict[str, Any]:
    content = {"application/json": {"schema": ref("EvaluateRequest")}, **_files()}
    answers = {
        "202": _json("The job is on disk and starts at once.", "Accepted", {"Location": LOCATION}),
        "400": _error("The body is not JSON in UTF-8, with line, column and item, or has no items."),
        "408": _error("The body did not arrive in time, or comes too slowly."),
        "409": _error("The key came with another body before."),
        "422": _error(
            "Fields are missing, empty, too long, of the wrong type or given twice: each with its index."
        ),
        "429": _later("Too many jobs are waiting."),
        "503": _later("Not ready: model, database, shutdown, or too many bodies."),
    }
    body = {"required": True, "content": content}
    parameters = [KEY, *FILE_PARAMETERS]
    return _call("evaluate", "jobs", "Send texts", _changing(answers), parameters, requestBody=body)


def _tables() -> dict[str, Any]:
    answers = {
        "200": _json("What was read and how; nothing is kept.", "Table"),
        "400": _error("An option that is unknown, or the body can't be read."),
        "408": _error("The body did not arrive in time, or comes too slowly."),
        "422": _error("The file can't be used: empty, damaged, no text, an unknown encoding ..."),
    }
    body = {"required": True, "content": _files()}
    return _call(
        "readTable", "tables", "Look at a file", _changing(answers), FILE_PARAMETERS, requestBody=body
    )


def _files() -> dict[str, Any]:
    return {name: {"schema": {"type": "string", "format": "binary"}} for name in ("text/csv", XLSX)}


def _stream() -> dict[str, Any]:
    answers = {
        "200": {"description": STREAM, "content": {"text/event-stream": {"schema": MESSAGES}}},
        "204": {"description": "The final event was seen already."},
        "400": _error("That is not the id of an event."),
        **_gone(),
    }
    return _call("streamJob", "jobs", "Results as they come", answers, [JOB_ID, *LAST_IDS])


def _results() -> dict[str, Any]:
    listed = {
        "application/json": {"schema": ref("Results")},
        "text/csv": {"schema": {"type": "string"}},
        XLSX: {"schema": {"type": "string", "format": "binary"}},
        "application/x-ndjson": {"schema": {"type": "string"}},
    }
    answers = {
        "200": {
            "description": RESULTS_NOTE,
            "headers": {"Content-Disposition": FILE_NAME},
            "content": listed,
        },
        "400": _error("An unknown format, column or locale, or one that the format doesn't have."),
        **_gone(),
    }
    return _call("getResults", "jobs", "Results so far", answers, [JOB_ID, FORMAT, *TABLE_PARAMETERS])


def _service() -> dict[str, Any]:
    healthy = {"200": _json("Healthy.", "Health"), "503": _json("Unhealthy.", "Health")}
    ready = {
        "200": _json("Yes.", "Readiness"),
        "503": _json("No.", "Readiness", {"Retry-After": RETRY_AFTER}),
    }
    figures = {
        "description": "In the text format.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
    calls = {
        "/health": ("getHealth", "How the service is", healthy),
        "/health/live": ("getLiveness", "Whether the process lives", {"200": _json("Yes.", "Liveness")}),
        "/health/ready": ("getReadiness", "Whether jobs are taken", ready),
        "/metrics": ("getMetrics", "Figures for Prometheus", {"200": figures}),
    }
    return {
        path: {"get": _call(name, "service", summary, answers)}
        for path, (name, summary, answers) in calls.items()
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
        "500": _error("Something went wrong on our side."),
    }
    if tag != "service":  # which answers on the last connections, too
        refused["503"] = _later("The database can't be used, or too many connections or tables are open.")
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "parameters": parameters or [],
        "responses": dict(sorted({**refused, **responses}.items())),
        **more,
    }


def _gone() -> dict[str, Any]:
    return {"404": _error("There is no such job."), "410": _error("The job has expired.")}


def _changing(responses: dict[str, Any]) -> dict[str, Any]:
    """The answers of what changes something, which pages of other sites may not ask for."""
    refused = {
        "403": _error("A page of another site asked, and CORS_ORIGINS does not name it."),
        "413": _error("Too many items, or too large a body."),
        "415": _error("The body is of another type, or packed otherwise than with gzip or deflate.", TAKEN),
        "417": _error("Expect may only say 100-continue."),
    }
    return {**refused, **responses}


def _json(description: str, name: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = {"description": description, "content": {"application/json": {"schema": ref(name)}}}
    return {**answer, "headers": headers} if headers else answer


def _error(description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    return _json(description, "Error", headers)


def _later(description: str) -> dict[str, Any]:
    return _error(description, {"Retry-After": RETRY_AFTER})
