"""Whether a Triton grades is found out by asking it, and a busy one is not taken for a dead one."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request

import pytest

from local_stack.ports import free_ports
from testkit.direct import open_url
from testkit.triton import TritonProcess
from triton_common.probe import ITEM, NotGradingError, Probe

UNANSWERED = {**ITEM, "respuesta": "Prova. [[hang]]"}


def grade(triton: TritonProcess, text: str) -> None:
    """One text over HTTP, whatever becomes of it."""
    body = json.dumps({**ITEM, "respuesta": text}).encode()
    request = urllib.request.Request(  # noqa: S310
        f"{triton.http_url}/v2/models/evaluate/generate", body, {"Content-Type": "application/json"}
    )
    try:
        open_url(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()


def test_a_server_that_grades_passes(scripted_triton: TritonProcess) -> None:
    """A probe returns once the model has answered it."""
    Probe(scripted_triton.http_port, 10).ask()


def test_a_silent_server_fails(own_scripted_triton: TritonProcess) -> None:
    """A probe without an answer fails when nothing else is graded either."""
    with pytest.raises(NotGradingError, match=r"no answer in 0\.5 s"):
        Probe(own_scripted_triton.http_port, 0.5, UNANSWERED).ask()


def test_a_busy_server_passes(own_scripted_triton: TritonProcess) -> None:
    """A probe without an answer passes while other texts are graded: it only waits behind them."""
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            grade(own_scripted_triton, "Hola.")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        Probe(own_scripted_triton.http_port, 2.0, UNANSWERED).ask()
    finally:
        done.set()
        worker.join(10)


def test_a_dead_model_fails_though_the_server_says_ready(own_scripted_triton: TritonProcess) -> None:
    """Readiness lies about a model process that is gone; a probe doesn't."""
    grade(own_scripted_triton, "Hola. [[die]]")
    probe = Probe(own_scripted_triton.http_port, 10)
    assert probe.ready()
    with pytest.raises(NotGradingError, match=r"HTTP 400: .*not healthy"):
        probe.ask()


def test_no_server_fails() -> None:
    """Where nobody listens nobody grades."""
    probe = Probe(free_ports(1)[0], 1)
    assert not probe.ready()
    with pytest.raises(NotGradingError, match="ConnectionRefusedError"):
        probe.ask()
