"""What clients and operators see when the engine fails, a client goes away, or the model is unloaded."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tritonclient import grpc

from testkit.direct import CHANNEL
from testkit.triton import ADMIN_METADATA, ROOT, TEST_MODEL, TritonProcess
from tests.vllm_backend.client import Stream, ask

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm-failure")]

LONG = {"temperature": 0, "max_tokens": 900, "ignore_eos": True}
BREAKABLE = {"logits_processors": ["tests.vllm_backend.failing:FailOnRequest"]}
SHORT = {"temperature": 0, "max_tokens": 4}


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A server whose engine can be broken; each test leaves the model loaded."""
    server = TritonProcess.vllm(
        tmp_path_factory.mktemp("breakable"),
        {"EXTRA_ENGINE_ARGS": json.dumps(BREAKABLE), "PYTHONPATH": "."},
    )
    server.start()
    yield server
    server.stop()


def load_again(server: TritonProcess) -> None:
    with grpc.InferenceServerClient(server.grpc_url, channel_args=CHANNEL) as client:
        client.load_model("gemma2", headers=ADMIN_METADATA)
        client.load_model("evaluate", headers=ADMIN_METADATA)
    assert server.ready("evaluate")


def test_engine_failure_reaches_everyone(breakable: TritonProcess) -> None:
    """When the engine fails, each request gets one error, new ones are refused, readiness is false."""
    with Stream(breakable.grpc_url) as stream:
        for _ in range(10):
            stream.send("Hola", LONG)
        stream.send("Hola", {**SHORT, "extra_args": {"break_engine": True}})
        responses = [stream.receive()]
        assert not breakable.ready("gemma2"), "somebody has heard of it before"
        responses += [stream.receive() for _ in range(10)]
        assert all(response.final and "unhealthy vLLM engine" in response.error for response in responses)
        stream.send("Hola", SHORT)
        assert stream.answer()[0].error
    assert stream.silent
    assert not breakable.ready("evaluate")
    load_again(breakable)
    assert ask(breakable.grpc_url, "Hola", SHORT)[0].text


def test_cancelled_request_frees_the_engine(breakable: TritonProcess) -> None:
    """A client that goes away ends its request: the log says so, and the next client is served."""
    with Stream(breakable.grpc_url) as stream:
        stream.send("Hola", {**LONG, "temperature": 1, "n": 16}, stream=True)
        assert not stream.receive().error
        stream.client.stop_stream(cancel_requests=True)
        breakable.wait_for_log("[vllm] Successfully cancelled the request")
    assert ask(breakable.grpc_url, "Hola", SHORT)[0].text


def test_unload_answers_what_runs(breakable: TritonProcess) -> None:
    """Unloading the model lets what runs end, each request with one final response, and it loads again."""
    with Stream(breakable.grpc_url) as stream:
        for _ in range(20):
            stream.send("Hola", {**LONG, "max_tokens": 50})
        with grpc.InferenceServerClient(breakable.grpc_url, channel_args=CHANNEL) as client:
            client.unload_model("gemma2", headers=ADMIN_METADATA, unload_dependents=True)
        responses = [stream.receive() for _ in range(20)]
        assert all(response.final for response in responses)
    assert stream.silent
    breakable.wait_not_ready("gemma2")
    load_again(breakable)
    assert "Segfault" not in breakable.log.read_text(encoding="utf-8", errors="replace")


def test_without_the_health_check_a_broken_model_stays_loaded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """ENABLE_VLLM_HEALTH_CHECK counts: without it, as with NVIDIA's backend, each request gets its error."""
    overlay = tmp_path_factory.mktemp("overlay")
    config = (ROOT / "model_repository" / "gemma2" / "config.pbtxt").read_text(encoding="utf-8")
    kept = [line for line in config.splitlines() if "ENABLE_VLLM_HEALTH_CHECK" not in line]
    (overlay / "gemma2").mkdir()
    (overlay / "gemma2" / "config.pbtxt").write_text("\n".join(kept), encoding="utf-8")
    server = TritonProcess(
        tmp_path_factory.mktemp("unchecked"),
        ["--overlay", str(overlay)],
        {"MODEL_NAME": str(TEST_MODEL), "EXTRA_ENGINE_ARGS": json.dumps(BREAKABLE), "PYTHONPATH": "."},
    )
    server.start()
    try:
        with Stream(server.grpc_url) as stream:
            for parameters in ({**SHORT, "extra_args": {"break_engine": True}}, SHORT, SHORT):
                stream.send("Hola", parameters)
                (response,) = stream.answer()
                assert "unhealthy vLLM engine" in response.error
            assert server.ready("gemma2")
    finally:
        server.stop()


def test_unknown_engine_argument_fails_the_load(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A key in model.json that vLLM doesn't know stops the start, and the log names it."""
    server = TritonProcess.vllm(
        tmp_path_factory.mktemp("unknown-argument"), {"EXTRA_ENGINE_ARGS": '{"invalid_attribute": 1}'}
    )
    with pytest.raises(RuntimeError, match="invalid_attribute"):
        server.start()
    assert server.stop() != 0
