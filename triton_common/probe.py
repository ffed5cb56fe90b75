"""Whether a Triton grades: found out by a real inference, since its readiness can lie."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping

MODEL = "evaluate"
ITEM = {"curso": "1r ESO", "consigna": "Prova de funcionament", "respuesta": "Prova."}
STATISTICS_TIMEOUT_S = 2.0
MAX_REASON_CHARS = 300


class NotGradingError(RuntimeError):
    """The server does not grade. Its text is one line that says how that showed."""


class Probe:
    """Asks one server on this machine over HTTP. Blocks: the standard library is all that the image has."""

    def __init__(self, http_port: int, timeout_s: float, item: Mapping[str, str] = ITEM) -> None:
        self._port = http_port
        self._timeout_s = timeout_s
        self._item = dict(item)

    def ready(self) -> bool:
        """Whether the server says that all its models are loaded."""
        try:
            return self._call("GET", "/v2/health/ready", STATISTICS_TIMEOUT_S)[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def ask(self) -> None:
        """Return once the model has graded the probe. Raises NotGradingError where it doesn't.

        One that is not answered in time while other texts are graded waits in a queue: that is no failure.
        """
        before = self._graded()
        try:
            status, body = self._call("POST", f"/v2/models/{MODEL}/generate", self._timeout_s, self._item)
        except TimeoutError:
            if self._graded() > before:
                return
            raise NotGradingError(
                f"no answer in {self._timeout_s:g} s, and nothing else was graded"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotGradingError(f"no answer: {type(error).__name__}: {error}") from None
        if status != http.client.OK:
            raise NotGradingError(f"HTTP {status}: {' '.join(body.split())[:MAX_REASON_CHARS]}")

    def _graded(self) -> int:
        """How many texts the server has graded since it was started; 0 where it doesn't say."""
        try:
            status, body = self._call("GET", f"/v2/models/{MODEL}/stats", STATISTICS_TIMEOUT_S)
            return (
                int(json.loads(body)["model_stats"][0]["inference_count"]) if status == http.client.OK else 0
            )
        except (OSError, http.client.HTTPException, ValueError, LookupError):
            return 0

    def _call(
        self, method: str, path: str, timeout_s: float, body: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout_s)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", errors="replace")
        finally:
            connection.close()
