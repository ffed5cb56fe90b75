"""What a POST may contain. Checks everything before anything is stored."""

import re
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from orchestrator.api.errors import ApiError
from orchestrator.api.json_body import parse_json
from orchestrator.api.json_names import repeated_names
from orchestrator.config import Settings
from orchestrator.jobs import Item, ItemError, Priority
from orchestrator.jobs.normalising import normalise

MAX_PROBLEMS = 100
ITEM_FIELDS = ("id_alumno", "curso", "consigna", "respuesta")
SHAPE = '{"items": [{"id_alumno": ..., "curso": ..., "consigna": ..., "respuesta": ...}]}'


EXACT = 2**53
"""Below it a number with a fraction part is surely the whole number that it looks like."""


def _digits(value: Any) -> Any:
    """Tables write student numbers without quotes, and as 12.0 where a cell of their column is empty."""
    if type(value) is float and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    return str(value) if type(value) is int else value


# The parser reads a whole number of more than 64 bits as a fraction, without its last digits: Google's ids
# have 21. Quotes make it the text that it is taken for.
_LONG_ID = re.compile(rb'(?<!\\)("id_alumno"[ \t\n\r]*+:[ \t\n\r]*+)(-?[0-9]{19,}+)(?=[ \t\n\r]*+[,}])')


def _has_long_ids(items: Any) -> bool:
    return isinstance(items, list) and any(
        isinstance(item, dict) and type(item.get("id_alumno")) is float for item in items
    )


NotBlank = Annotated[str, Field(min_length=1, pattern=r"\S")]


class ItemIn(BaseModel):
    """One student's answer to one prompt."""

    model_config = ConfigDict(strict=True)

    id_alumno: Annotated[NotBlank, BeforeValidator(_digits)] = Field(
        description="Your name for the student. It may repeat. A whole number is taken as text.",
        examples=["A001"],
        json_schema_extra={"type": ["string", "integer"]},
    )
    curso: NotBlank = Field(description="The school year.", examples=["3r ESO"])
    consigna: NotBlank = Field(description="The prompt.", examples=["Descriu el cicle de l'aigua."])
    respuesta: str | None = Field(
        description=(
            "The student's answer. One that is blank or null is not graded: its result says `blank_answer`; "
            "nor is one over MAX_FIELD_CHARS: `too_long`."
        ),
        examples=["L'aigua s'evapora, forma núvols i després plou."],
    )


class EvaluateRequest(BaseModel):
    """A class or a district: every item gets exactly one result."""

    model_config = ConfigDict(strict=True)

    items: list[ItemIn] = Field(min_length=1)
    priority: Annotated[Priority, Field(strict=False)] = Field(
        Priority.NORMAL,
        description="The job's share while several run: interactive 4, normal (without it) 2, bulk 1.",
    )


def parse_request(body: bytes, settings: Settings) -> tuple[list[Item], Priority]:
    """The items and the priority in a body, or an ApiError that says all that is wrong with it.

    Without I/O or state: what goes in and what comes out, errors too, may cross to another process.
    """
    data = parse_json(body)
    if not isinstance(data, dict):
        message = f"The body must be an object such as {SHAPE}{_what_it_is(data)}."
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", message)
    raw = data.get("items")
    repeated = repeated_names(body, ITEM_FIELDS, len(raw) if isinstance(raw, list) else 0)
    if repeated:
        raise _invalid([{**place, "message": "is given twice; give it once"} for place in repeated])
    if raw is None or raw == []:
        one = (
            " This is one item: put it into a list with that name." if set(ITEM_FIELDS) & data.keys() else ""
        )
        message = f"There are no items; send at least one, as in {SHAPE}.{one}"
        raise ApiError(HTTPStatus.BAD_REQUEST, "no_items", message)
    if isinstance(raw, list) and len(raw) > settings.max_items:
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_many_items",
            f"There are {len(raw)} items; at most {settings.max_items} are allowed.",
            {"items": len(raw), "max_items": settings.max_items},
        )
    if _has_long_ids(raw):
        data = parse_json(_LONG_ID.sub(rb'\1"\2"', body))
    try:
        request = EvaluateRequest.model_validate(data)
    except ValidationError as error:
        raise _invalid(_problems(error)) from None
    _check_lengths(request, settings)
    items = [_item(index, item, settings.max_field_chars) for index, item in enumerate(request.items)]
    return items, request.priority


def _what_it_is(data: Any) -> str:
    return "; it is a list: put it under the name items" if isinstance(data, list) else ""


def _check_lengths(request: EvaluateRequest, settings: Settings) -> None:
    limits = length_limits(settings)
    problems = [
        {"index": index, "field": field, "message": f"must have at most {limit} characters"}
        for index, item in enumerate(request.items)
        for field, limit in limits.items()
        if len(getattr(item, field)) > limit
    ]
    if problems:
        raise _invalid(problems)


def length_limits(settings: Settings) -> dict[str, int]:
    """In characters, of the fields that refuse the request when longer. A `respuesta` then fails alone."""
    return {
        "id_alumno": settings.max_id_chars,
        "curso": settings.max_course_chars,
        "consigna": settings.max_field_chars,
    }


def _item(index: int, item: ItemIn, limit: int) -> Item:
    text = item.respuesta or ""
    # Counted as it is read: not the accents of a Mac one by one, nor all dots of a dotted line.
    length = len(text) if len(text) <= limit else len(normalise(text))
    if length <= limit:
        return Item(index, item.id_alumno, item.curso, item.consigna, text)
    error = ItemError("too_long", f"The answer has {length} characters; at most {limit} are taken.")
    # It is not sent to the model, so what is beyond the limit need not be kept; exports show that it is cut.
    return Item(index, item.id_alumno, item.curso, item.consigna, f"{text[:limit]} […]", error)


def _problems(error: ValidationError) -> list[dict[str, Any]]:
    return [_problem(entry) for entry in error.errors(include_url=False, include_input=False)]


def _problem(entry: Any) -> dict[str, Any]:
    location = entry["loc"]
    index = location[1] if len(location) > 1 and location[0] == "items" else None
    field = location[2] if len(location) > 2 else location[0]
    if field == "items" and index is not None:
        field = None
    match entry["type"]:
        case "missing":
            message = "is missing"
        case "string_pattern_mismatch" | "string_too_short":
            message = "must not be empty"
        case "string_type" if field == "id_alumno":
            message = "must be a string or a whole number; write it in quotes"
        case "string_type":
            message = "must be a string"
        case "list_type":
            message = "must be a list"
        case "model_type":
            message = "must be an object"
        case "enum":
            message = f"must be one of {', '.join(Priority)}"
        case _:
            message = entry["msg"]
    return {"index": index, "field": field, "message": message}


def _invalid(problems: list[dict[str, Any]]) -> ApiError:
    first = problems[0]
    at = f"item {first['index']}: " if first["index"] is not None else ""
    rest = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return ApiError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_items",
        f"{at}{first['field'] or 'it'} {first['message']}{rest}.",
        {"total": len(problems), "problems": problems[:MAX_PROBLEMS]},
    )
