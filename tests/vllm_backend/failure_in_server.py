"""Run in the server's environment: the backend when its engine fails or hangs, or the server balks."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

LOST = 20_000
happened: list[str] = []
refusals = 2


class TritonError(str):
    """An error's text."""

    __slots__ = ()
    UNAVAILABLE = 1

    def __new__(cls, message: str, code: int = 0) -> TritonError:
        del code
        return super().__new__(cls, message)


class Server(ModuleType):
    """What the backend uses of Triton's module for Python models; it refuses the first two unloads."""

    TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    TritonModelException = RuntimeError
    TritonError = TritonError
    InferenceResponse = staticmethod(lambda error: error)
    Logger = SimpleNamespace(log_error=lambda _: None, log_info=lambda _: None, log_warn=lambda _: None)

    @staticmethod
    def unload_model(name: str) -> None:
        global refusals  # noqa: PLW0603  one server, and one process for each run
        if refusals:
            refusals -= 1
            happened.append("refused to unload")
            raise RuntimeError("not now")
        happened.append(f"unloaded {name}")


sys.modules["triton_python_backend_utils"] = Server("triton_python_backend_utils")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "triton_cpu" / "backends" / "vllm"))
backend: Any = importlib.import_module("inprocess.backend")
engine: Any = importlib.import_module("inprocess.engine")


class Engine:
    """Takes requests, and at its first step does as it is told."""

    engine_core = SimpleNamespace(shutdown=lambda: None)

    def __init__(self, act: Callable[[], list[Any] | None]) -> None:
        self._act, self._waiting = act, 0

    def add_request(self, request_id: str, prompt: Any, params: Any) -> str:
        del prompt, params
        self._waiting += 1
        return request_id

    def abort_request(self, request_ids: list[str]) -> None:
        self._waiting -= len(request_ids)

    def has_unfinished_requests(self) -> bool:
        return self._waiting > 0

    def step(self) -> list[Any]:
        outputs = self._act() or []
        self._waiting -= len(outputs)
        return outputs


class Request:
    """One client's: it notes the error that ends it."""

    def __init__(self, number: int) -> None:
        self.id, self.prompt, self.params = str(number), "", None
        self.sender = self

    def is_cancelled(self) -> bool:
        """As its sender: which has broken down for one of them, and must not take the others with it."""
        if self.id == "1":
            raise RuntimeError("no answer from the server")
        return False

    def fail(self, error: str) -> None:
        happened.append(error)

    def get_response_sender(self) -> Request:
        return self

    def send(self, error: str, flags: int) -> None:
        del flags
        self.fail(error)


def backend_with(engine: Engine, *, checks_health: bool) -> Any:
    """A backend whose engine is ``engine``."""
    made = backend.Backend.__new__(backend.Backend)
    made._build = lambda _: engine
    made._read_engine_args = lambda: SimpleNamespace(disable_log_stats=True)
    parameters = {"ENABLE_VLLM_HEALTH_CHECK": {"string_value": str(checks_health)}}
    made.__init__({
        "model_name": "gemma2", "model_version": "1", "model_config": json.dumps({"parameters": parameters}),
    })  # fmt: skip
    return made


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30.0
    while not true():
        assert time.monotonic() < deadline, happened[:5]
        threading.Event().wait(0.01)


def check_failure() -> None:
    """Many lost requests are told in seconds, and a server that refuses to unload is asked until it does."""
    go = threading.Event()

    def fail() -> None:
        go.wait()
        raise RuntimeError("broken")

    served = backend_with(Engine(fail), checks_health=True)
    for number in range(LOST):
        assert served._engine.submit(Request(number))
    started = time.monotonic()
    go.set()
    wait_until(lambda: "unloaded gemma2" in happened)
    wait_until(lambda: len(happened) == LOST + 3)
    assert time.monotonic() - started < 20.0
    assert happened[0] == happened.pop(happened.index("refused to unload", 1)) == "refused to unload"
    assert all("unhealthy vLLM engine: broken" in error for error in happened if "unload" not in error)


def check_asking_again() -> None:
    """A server that refuses to unload isn't asked again by each request that comes meanwhile."""
    global refusals
    happened.clear()
    refusals, backend.UNLOAD_AGAIN_S = 1, 3600.0

    def fail() -> None:
        raise RuntimeError("broken")

    served = backend_with(Engine(fail), checks_health=True)
    served._engine.submit(Request(0))
    wait_until(lambda: any("broken" in what for what in happened))
    served.execute([Request(number) for number in range(50)])
    assert happened.count("refused to unload") == 1
    assert len(happened) == 1 + 1 + 50


def check_order() -> None:
    """The model is unloaded before the first request hears of it; without the health check, never."""
    for checks_health, expected in ((True, ["unloaded gemma2"]), (False, [])):
        happened.clear()

        def fail() -> None:
            raise RuntimeError("broken")

        served = backend_with(Engine(fail), checks_health=checks_health)
        served._engine.submit(Request(0))
        wait_until(lambda: any("broken" in what for what in happened))
        assert happened[:-1] == expected, happened


def check_sending() -> None:
    """A response that can't be sent keeps none of the same step from its client."""
    answered: list[str] = []

    def answer() -> list[Any]:
        return [SimpleNamespace(request_id=str(number), finished=True) for number in range(3)]

    def output(request: Request, output: Any) -> None:
        del output
        if request.id == "1":
            raise RuntimeError("the server has gone away")
        answered.append(request.id)

    handler = SimpleNamespace(output=output, rest=lambda: None)
    go = threading.Event()

    def build() -> Engine:
        return Engine(lambda: answer() if go.wait() else None)

    thread = engine.EngineThread(build, handler, max_pending=3)
    # The first one is in the step that waits; all are there when it gives its outputs.
    for number in range(3):
        assert thread.submit(Request(number))
    go.set()
    wait_until(lambda: not thread.busy)
    assert thread.close(5.0) == []
    assert answered == ["0", "2"]


def check_hanging() -> None:
    """An engine that never comes back from a step doesn't keep the backend from closing."""
    happened.clear()
    begun = threading.Event()

    def hang() -> None:
        begun.set()
        threading.Event().wait()

    served = backend_with(Engine(hang), checks_health=True)
    served._engine.submit(Request(0))
    begun.wait()
    started = time.monotonic()
    backend.DEFAULT_CLOSE_TIMEOUT_S = 0.2
    served.close()
    assert time.monotonic() - started < 5.0
    assert happened == ["The model is being unloaded: try again later."]


if __name__ == "__main__":
    check_failure()
    check_asking_again()
    check_order()
    check_sending()
    check_hanging()
    print("the same")
