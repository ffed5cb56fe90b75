"""Error answers: one shape for all, and no traceback in any of them."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from aiohttp import web

from orchestrator.api.codes import ErrorCode
from orchestrator.errors import (
    AvaluaError,
    DrainingError,
    JobExpiredError,
    NotLoadedError,
    QueueFullError,
    StoreUnavailableError,
)
from orchestrator.observability.logs import where

RETRY_AFTER_S = 5
STREAMING = web.RequestKey(
    "streaming", bool
)  # set on a request whose answer has begun: no other one can follow

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger()


class ApiError(Exception):
    """An answer other than the one asked for."""

    def __init__(
        self,
        status: HTTPStatus,
        code: ErrorCode,
        message: str,
        details: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """So that it can come from another process."""
        return type(self), (self.status, self.code, self.message, self.details, self.headers)

    def response(self) -> web.Response:
        return json_response(
            {"error": self.message, "code": self.code, "details": self.details}, self.status, self.headers
        )


def job_expired() -> ApiError:
    """The answer for a job whose results were deleted."""
    return ApiError(HTTPStatus.GONE, "job_expired", "This job has expired; its results were deleted.")


def json_response(
    data: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=orjson.dumps(data),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into the one shape of error answers."""
    try:
        return await handler(request)
    except (ApiError, AvaluaError) as error:
        if STREAMING in request:  # no other answer can follow: it ends before its end, which clients notice
            log.warning("answer_interrupted", route=route_of(request), **where(error))
            raise ConnectionResetError from None
        return (error if isinstance(error, ApiError) else as_api_error(error)).response()
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return from_aiohttp(request, error).response()
    except ConnectionError:
        raise  # the client left
    except Exception as error:
        # The last line of defence: the caller learns nothing of our insides, the log learns where.
        log.error(  # noqa: TRY400  a traceback's message might quote a text
            "request_failed", method=request.method, route=route_of(request), **where(error)
        )
        if STREAMING in request:
            raise
        return ApiError(
            HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side."
        ).response()


def route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def as_api_error(error: AvaluaError) -> ApiError:
    """What a client is told of one of our errors; what it can't help is logged."""
    wait = {"Retry-After": str(RETRY_AFTER_S)}
    match error:
        case JobExpiredError():
            return job_expired()
        case QueueFullError():
            return ApiError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_jobs",
                "Too many jobs are waiting; try again later.",
                headers={"Retry-After": str(error.retry_after_s)},
            )
        case NotLoadedError(workers=0):
            message = "Nobody works on jobs yet: start an orchestrator with ROLES=worker on this database."
            return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "model_not_loaded", message, headers=wait)
        case NotLoadedError():
            message = "The model is not loaded yet."
            return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "model_not_loaded", message, headers=wait)
        case DrainingError():
            return ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE, "shutting_down", "The service is shutting down.", headers=wait
            )
        case StoreUnavailableError():
            log.warning("store_unavailable_for_request", reason=str(error))
            return ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "storage_unavailable",
                "The database can't be used at the moment; nothing was lost.",
                headers=wait,
            )
        case _:
            log.error("request_failed", **where(error))
            return ApiError(
                HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side."
            )


def from_aiohttp(request: web.BaseRequest, error: web.HTTPException) -> ApiError:
    """An error of the library's in our shape."""
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return ApiError(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            message = f"{request.method} is not allowed here."
            return ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, headers=headers)
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", "The body is too large.")
        case HTTPStatus.EXPECTATION_FAILED:
            message = "Expect may only say 100-continue."
            return ApiError(HTTPStatus.EXPECTATION_FAILED, "expectation_failed", message)
        case _:
            status = HTTPStatus(error.status)
            code: ErrorCode = (
                "internal_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "bad_request"
            )
            return ApiError(status, code, f"{status.phrase}.")
