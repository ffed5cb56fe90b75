"""What a POST may contain. Checks everything before anything is stored."""

import json
import re
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.api.errors import ApiError
from orchestrator.config import Settings
from orchestrator.jobs import Item, Priority

MAX_PROBLEMS = 100
ITEM_FIELDS = ("id_alumno", "curso", "consigna", "respuesta")
_SURROGATES = re.compile("[\ud800-\udfff]")

NotBlank = Annotated[str, Field(min_length=1, pattern=r"\S")]


class ItemIn(BaseModel):
    """One student's answer to one prompt."""

    model_config = ConfigDict(strict=True)

    id_alumno: NotBlank = Field(description="Your name for the student. It may repeat.", examples=["A001"])
    curso: NotBlank = Field(description="The school year.", examples=["3r ESO"])
    consigna: NotBlank = Field(description="The prompt.", examples=["Descriu el cicle de l'aigua."])
    respuesta: str = Field(
        description="The student's answer. A blank one is not graded: its result says `blank_answer`.",
        examples=["L'aigua s'evapora, forma núvols i després plou."],
    )


class EvaluateRequest(BaseModel):
    """A class or a district: every item gets exactly one result."""

    model_config = ConfigDict(strict=True)

    items: list[ItemIn] = Field(min_length=1)
    priority: Annotated[Priority, Field(strict=False)] = Field(
        Priority.NORMAL, description="The job's share while several run: interactive 4, normal 2, bulk 1."
    )


def parse_request(body: bytes, settings: Settings) -> tuple[list[Item], Priority]:
    """The items and the priority in a body, or an ApiError that says all that is wrong with it."""
    data = _parse_json(body)
    if not isinstance(data, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", "The body must be a JSON object with items.")
    raw = data.get("items")
    if raw is None or raw == []:
        raise ApiError(HTTPStatus.BAD_REQUEST, "no_items", "There are no items.")
    if isinstance(raw, list) and len(raw) > settings.max_items:
        raise ApiError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_many_items",
            f"There are {len(raw)} items; at most {settings.max_items} are allowed.",
            {"items": len(raw), "max_items": settings.max_items},
        )
    try:
        request = EvaluateRequest.model_validate(data)
    except ValidationError as error:
        raise _invalid(_problems(error)) from None
    _check_lengths(request, settings.max_field_chars)
    items = [
        Item(index, item.id_alumno, item.curso, item.consigna, item.respuesta)
        for index, item in enumerate(request.items)
    ]
    return items, request.priority


def _parse_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"\\u" in body:
            return _parse_with_surrogates(body)
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "invalid_json", f"The body is not valid JSON: {error.msg}."
        ) from None


def _parse_with_surrogates(body: bytes) -> Any:
    """JavaScript can cut an emoji in half and send "\\ud83d": valid JSON, not Unicode. It becomes U+FFFD."""
    try:
        return _scrub(json.loads(body.decode("utf-8"), parse_constant=_no_constant))
    except (ValueError, RecursionError):
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_json", "The body is not valid JSON.") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_scrub(entry) for entry in value]
    if isinstance(value, dict):
        return {_scrub(key): _scrub(entry) for key, entry in value.items()}
    return value


def _check_lengths(request: EvaluateRequest, limit: int) -> None:
    problems = [
        {"index": index, "field": field, "message": f"must have at most {limit} characters"}
        for index, item in enumerate(request.items)
        for field in ITEM_FIELDS
        if len(getattr(item, field)) > limit
    ]
    if problems:
        raise _invalid(problems)


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
