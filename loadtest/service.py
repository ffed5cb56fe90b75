"""What a teacher's page does: POST to the orchestrator, then its events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import orjson
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError

from loadtest.events import Following, messages
from loadtest.recorder import JOB, SUBMIT, LoadError, Recorder
from loadtest.texts import Item

CONNECT_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 60.0
"""On a stream, longer than several pauses between two comments."""
MAX_CONNECTIONS = 5000
AWAY = (OSError, HTTPParseError)
ACCEPTED, TOO_MANY = 202, 429
JSON = {"Content-Type": "application/json"}


def open_client(url: str, connections: int = MAX_CONNECTIONS) -> HTTPClient:
    """Connections that are kept, up to so many at once."""
    return HTTPClient.from_url(
        url,
        concurrency=connections,
        connection_timeout=CONNECT_TIMEOUT_S,
        network_timeout=SILENCE_TIMEOUT_S,
    )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service has the job."""

    job_id: str
    since: float


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no room; how long the service asks to wait."""

    retry_after_s: float


class ServiceClient:
    """Submits and follows. Connecting to a stream is no latency of any row: only events are timed."""

    def __init__(self, url: str, recorder: Recorder, *, overloads: bool) -> None:
        self._url = url
        self._http = open_client(url)
        self._recorder = recorder
        self._overloads = overloads
        # When a batch was made is told in the service's time: only a machine's own is known to be ours, too.
        self._same_clock = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")

    def connect(self) -> None:
        """Raises LoadError unless the service answers."""
        try:
            status = self._http.get("/health/ready").status_code
        except AWAY as error:
            raise LoadError(f"{self._url} does not answer ({error}): is the service running?") from None
        if status != 200:
            raise LoadError(f"{self._url} is not ready: /health/ready answers {status}")

    def grade(self, items: Sequence[Item], due: float | None = None) -> None:
        """Hand in a job and follow it to its end. Times count from when it was ``due``, else from now."""
        answer = self.submit(orjson.dumps({"items": items}), due)
        if isinstance(answer, Accepted):
            self.follow(answer, items)

    def submit(self, body: bytes, due: float | None = None) -> Accepted | Refused | None:
        """The service's answer; None where it is neither 202 nor 429 as they should be."""
        since = time.monotonic() if due is None else due
        self._recorder.begin(since)
        try:
            response = self._http.post("/evaluate", body, headers=JSON)
            answer = response.read()
        except AWAY as error:
            self._recorder.failed(SUBMIT, f"no answer: {type(error).__name__}", time.monotonic() - since)
            return None
        took_s = time.monotonic() - since
        match response.status_code:
            case 202:
                self._recorder.took(SUBMIT, took_s, len(answer))
                self._recorder.open_jobs += 1
                return Accepted(orjson.loads(answer)["job_id"], since)
            case 429 if str(retry_after := response.get("Retry-After")).isdecimal():
                self._recorder.refused(took_s, wanted=self._overloads)
                return Refused(float(str(retry_after)))
            case 429:
                self._recorder.failed(SUBMIT, "429 without Retry-After in seconds", took_s)
            case status:
                self._recorder.failed(SUBMIT, f"answered {status}", took_s)
        return None

    def follow(self, job: Accepted, items: Sequence[Item]) -> None:
        """Return when the job has ended, or its stream."""
        following = Following(self._recorder, items, job.since)
        try:
            with self._http.get(f"/stream/{job.job_id}") as response:
                opened_wall = time.time()
                if response.status_code != 200:
                    self._recorder.failed(JOB, f"the stream answered {response.status_code}")
                    return
                for envelope, size in messages(iter(partial(response.readline, b"\n"), b"")):
                    following.hear(envelope, size, time.monotonic(), time.time())
            if not following.ended:
                self._recorder.failed(JOB, "the stream ended without a final event")
            elif self._same_clock:
                status = orjson.loads(self._http.get(f"/status/{job.job_id}").read())
                following.deliveries(status["started_at"], opened_wall)
        except AWAY as error:
            self._recorder.failed(JOB, f"the stream broke: {type(error).__name__}")
        finally:
            self._recorder.open_jobs -= 1
