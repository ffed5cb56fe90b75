"""HTTP to one service: what is worth trying again is tried again, and refusals become exceptions."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import anyio
import httpx2

from avalua_client.address import encrypted, on_this_machine, read_address
from avalua_client.errors import (
    ApiError,
    ConfigurationError,
    JobExpiredError,
    JobNotFoundError,
    ProtocolError,
    UnavailableError,
)
from avalua_client.retrying import Backoff, Retry

BUSY = HTTPStatus.TOO_MANY_REQUESTS
AWAY = frozenset({408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524})
"""Answers of a service, or of a proxy before it, that may be another one in a while."""
TOO_LARGE = 413
MAX_ERROR_BYTES = 65_536
CONNECT_S = 10.0


class Connection:
    """Not for more than one event loop. ``close`` it."""

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        timeout_s: float,
        silence_s: float,
        retry: Retry,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        """Raises ConfigurationError where ``url`` is none, or the key would be sent where others can read it.

        ``timeout_s`` is for an answer, ``silence_s`` for the pause between two pieces of a stream.
        ``on_wait`` is told in a sentence why something has to be tried again.
        """
        self.url = read_address(url)
        self.retry = retry
        self._on_wait = on_wait
        headers = {}
        if not encrypted(self.url):
            if api_key:
                raise ConfigurationError(
                    f"The key is not sent to {self.url}, where anybody on the way could read it: use https://."
                )
            warnings.warn(
                f"Texts and marks of students are sent to {self.url} unencrypted: use https://.", stacklevel=4
            )
        if api_key:
            if not api_key.isascii() or not api_key.isprintable():
                raise ConfigurationError("The key holds characters that no key has: copy it again.")
            headers["Authorization"] = f"Bearer {api_key}"
        self._silence = httpx2.Timeout(timeout_s, connect=CONNECT_S, read=silence_s)
        self._http = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
            # What the environment says of proxies is for the outside.
            trust_env=not on_this_machine(self.url),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset({200, 202}),
        repeat: bool = True,
    ) -> httpx2.Response:
        """The answer, with a status of ``accept``. With ``repeat`` tried again while nobody answers.

        Raises ApiError, ProtocolError, UnavailableError.
        """
        backoff = Backoff(self.retry)
        sent = {**({"Content-Type": "application/json"} if content is not None else {}), **(headers or {})}
        while True:
            retry_after, full = None, False
            try:
                answer = await self._http.request(method, self.url + path, content=content, headers=sent)
            except httpx2.UnsupportedProtocol as error:
                raise ConfigurationError(f"{self.url} can't be used: {error}.") from None
            except httpx2.TransportError as error:
                why: Exception | str = _why(error)
            else:
                if answer.status_code in accept:
                    return answer
                if answer.status_code not in AWAY:
                    raise refusal(answer.status_code, answer.content, answer.headers, self.url)
                why = refusal(answer.status_code, answer.content, answer.headers, self.url)
                retry_after, full = answer.headers.get("retry-after"), answer.status_code == BUSY
            wait_s = backoff.next_wait_s(retry_after, full=full) if repeat else None
            if wait_s is None:
                raise self.given_up(why)
            await self.wait(why, wait_s)

    async def wait(self, why: Exception | str, seconds: float) -> None:
        """Sleep before the next try, and say so."""
        if self._on_wait is not None:
            words = str(why) if isinstance(why, ApiError) else f"{self.url} does not answer ({why})."
            self._on_wait(f"{words} Trying again.")
        await anyio.sleep(seconds)

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        """An answer whose body is read as it comes. Raises httpx2.TransportError; nothing is tried again."""
        async with self._http.stream(
            "GET", self.url + path, headers=dict(headers), timeout=self._silence
        ) as answer:
            yield answer

    def given_up(self, why: Exception | str) -> Exception:
        """What to raise where the last try failed, too."""
        if isinstance(why, ApiError):
            return why
        return UnavailableError(
            f"{self.url} does not answer ({why}): is the service running, and is this its address?"
        )


async def read_error(answer: httpx2.Response, url: str) -> Exception:
    """The exception for an answer that is being streamed and refuses."""
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MAX_ERROR_BYTES:
            break
    return refusal(answer.status_code, body, answer.headers, url)


def refusal(status: int, body: bytes, headers: Mapping[str, str], url: str) -> Exception:
    """What an answer that is no success says, in the service's words where it is the service that answers."""
    if 300 <= status < 400:
        return ConfigurationError(
            f"{url} has moved to {headers.get('location', 'another address')}: use that address."
        )
    try:
        answer = json.loads(body[:MAX_ERROR_BYTES])
        message, code, details = str(answer["error"]), str(answer["code"]), answer.get("details")
    except (ValueError, LookupError, TypeError, AttributeError):
        if status == TOO_LARGE:
            return ApiError(status, "", f"{url} takes no body that large: send fewer texts at a time.")
        if status in AWAY:
            return ApiError(status, "", f"{url} answers {status}: the service is away at the moment.")
        return not_avalua(url)
    details = details if isinstance(details, dict) else {}
    kind = {404: JobNotFoundError, 410: JobExpiredError}.get(status, ApiError)
    return kind(status, code, message, details)


def _why(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


def decoded(answer: httpx2.Response, url: str) -> Any:
    """The JSON of an answer. Raises ProtocolError."""
    try:
        return json.loads(answer.content)
    except ValueError:
        raise not_avalua(url) from None


def not_avalua(url: str) -> ProtocolError:
    """For an answer that no service of ours gives."""
    return ProtocolError(f"{url} does not answer as Avalua does: is it the right address?")
