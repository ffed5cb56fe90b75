"""The ways to Triton itself: a gRPC stream for each class, or an HTTP call for each text."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import gevent
import grpc
import orjson
from gevent.lock import BoundedSemaphore
from gevent.pool import Group
from gevent.queue import Queue
from tritonclient.grpc import service_pb2_grpc

from loadtest.recorder import ITEM, JOB, LoadError, Recorder
from loadtest.service import AWAY, CONNECT_TIMEOUT_S, JSON, open_client
from loadtest.texts import Item
from orchestrator import jobs
from orchestrator.triton.codec import INPUTS, Answer, Encoder, decode

MODEL = "evaluate"
SHOWN_CHARS = 80


class Window:
    """Calls in flight, over all users: Triton applies no back pressure, so whoever asks it has to."""

    def __init__(self, recorder: Recorder, size: int) -> None:
        self._recorder = recorder
        self._places = BoundedSemaphore(size)

    def enter(self, due: float | None) -> float:
        """Wait for a place. Since when the call counts: from when it was ``due``, else from now."""
        self._places.acquire()
        since = time.monotonic() if due is None else due
        self._recorder.begin(since)
        return since

    def leave(self, since: float, problem: str = "", size: int = 0) -> None:
        """A call is over."""
        self._places.release()
        took_s = time.monotonic() - since
        if problem:
            self._recorder.failed(ITEM, problem, took_s)
        else:
            self._recorder.took(ITEM, took_s, size)


class GrpcClient:
    """Each class is a stream of its own, over one connection."""

    def __init__(self, url: str, recorder: Recorder, in_flight: int) -> None:
        self._url = url
        self._recorder = recorder
        self._window = Window(recorder, in_flight)
        self._channel = grpc.insecure_channel(url, options=[("grpc.enable_http_proxy", 0)])
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._encoder = Encoder(MODEL)
        self._numbers = itertools.count()

    def connect(self) -> None:
        """Return when connected, so that connecting counts for no call. Raises LoadError."""
        try:
            grpc.channel_ready_future(self._channel).result(timeout=CONNECT_TIMEOUT_S)
        except grpc.FutureTimeoutError:
            raise LoadError(f"Triton does not answer at {self._url} (--grpc-url): is it running?") from None

    def grade(self, items: Sequence[Item], due: float | None = None) -> None:
        """Return when every item was answered. Times count from when they were ``due``."""
        requests: Queue[Any] = Queue()
        waiting: dict[str, float] = {}
        began = time.monotonic() if due is None else due
        feeding = gevent.spawn(self._feed, items, due, requests, waiting)
        self._recorder.open_jobs += 1
        try:
            call = self._stub.ModelStreamInfer(iter(requests.get, None))
            for _ in items:
                response = next(call)
                since = waiting.pop(response.infer_response.id)
                self._window.leave(since, _problem(decode(response)), response.ByteSize())
            requests.put(None)
            for _ in call:  # the server ends it politely: a cancelled stream can crash some
                pass
            self._recorder.took(JOB, time.monotonic() - began)
        except (grpc.RpcError, StopIteration) as error:
            for since in waiting.values():
                self._window.leave(since, "the stream broke")
            self._recorder.failed(JOB, f"the stream broke: {_code(error)}", time.monotonic() - began)
        finally:
            feeding.kill()
            self._recorder.open_jobs -= 1

    def _feed(
        self, items: Sequence[Item], due: float | None, requests: Queue[Any], waiting: dict[str, float]
    ) -> None:
        for index, item in enumerate(items):
            request_id = f"load-{next(self._numbers)}"
            fields = (item["id_alumno"], item["curso"], item["consigna"], item["respuesta"])
            request = self._encoder.encode(request_id, jobs.Item(index, *fields), 1)
            waiting[request_id] = self._window.enter(due)
            requests.put(request)


class GenerateClient:
    """As many calls at once as the window has places."""

    def __init__(self, url: str, recorder: Recorder, in_flight: int) -> None:
        self._url = url
        self._recorder = recorder
        self._window = Window(recorder, in_flight)
        self._http = open_client(url, in_flight)

    def connect(self) -> None:
        """Raises LoadError unless Triton says that it is ready."""
        try:
            status = self._http.get("/v2/health/ready").status_code
        except AWAY as error:
            raise LoadError(
                f"Triton does not answer at {self._url} (--generate-url, {error}): is it running?"
            ) from None
        if status != 200:
            raise LoadError(f"Triton at {self._url} is not ready")

    def grade(self, items: Sequence[Item], due: float | None = None) -> None:
        """Return when every item was answered. Times count from when they were ``due``."""
        began = time.monotonic() if due is None else due
        calls = Group()
        self._recorder.open_jobs += 1
        try:
            for item in items:
                calls.spawn(self._call, item, self._window.enter(due))
            calls.join(raise_error=True)
            self._recorder.took(JOB, time.monotonic() - began)
        finally:
            calls.kill()
            self._recorder.open_jobs -= 1

    def _call(self, item: Item, since: float) -> None:
        problem, answer = "no answer", b""
        try:
            body = orjson.dumps({name: item[name] for name in INPUTS})
            response = self._http.post(f"/v2/models/{MODEL}/generate", body, headers=JSON)
            answer = response.read()
            if response.status_code != 200:
                problem = f"answered {response.status_code}"
            else:
                graded = orjson.loads(answer)
                problem = "" if 0 <= graded["nota"] <= 5 else graded["error_code"] or "no mark"
        except AWAY as error:
            problem = f"no answer: {type(error).__name__}"
        finally:
            self._window.leave(since, problem, len(answer))


def _problem(outcome: Any) -> str:
    if isinstance(outcome, Answer):
        return "" if outcome.nota is not None else outcome.error_code or "no mark"
    return str(getattr(outcome, "code", "") or outcome.message)[:SHOWN_CHARS]


def _code(error: BaseException) -> str:
    return error.code().name.lower() if isinstance(error, grpc.Call) else "it ended early"
