"""What changes a server is closed to everyone but its operator, over HTTP and gRPC; what reads it is open."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping

import pytest
from tritonclient import grpc
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import InferenceServerException

from testkit.triton import ADMIN_HEADERS, ADMIN_METADATA, TritonProcess
from triton_common.server import ADMIN_HEADER, read_admin_key
from triton_common.settings import SettingsError

TIMEOUT_S = 10.0
MANAGEMENT = [
    ("POST", "/v2/repository/index"),
    ("POST", "/v2/repository/models/evaluate/load"),
    ("POST", "/v2/repository/models/evaluate/unload"),
    ("POST", "/v2/repository/models/evaluate/unload?unload_dependents=true"),
    *(
        (method, f"/v2/{kind}sharedmemory{path}")
        for kind in ("system", "cuda")
        for method, path in [
            ("GET", "/status"), ("GET", "/region/r/status"), ("POST", "/region/r/register"),
            ("POST", "/region/r/unregister"), ("POST", "/unregister"),
        ]
    ),
    *((method, path) for method in ("GET", "POST") for path in (
        "/v2/trace/setting", "/v2/models/evaluate/trace/setting", "/v2/logging"
    )),
]  # fmt: skip
OTHER_SPELLINGS = [
    "/v2//repository/models/evaluate/unload",
    "/v2/./repository/models/evaluate/unload",
    "/v2/%72epository/models/evaluate/unload",
    "/v2/repository/models/evaluate/unload/",
    "//v2/repository/models/evaluate/unload",
    "/V2/repository/models/evaluate/unload",
]
READING = [
    "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/evaluate", "/v2/models/evaluate/ready",
    "/v2/models/evaluate/config", "/v2/models/evaluate/stats", "/v2/models/stats",
]  # fmt: skip
MANAGEMENT_CALLS = {
    "RepositoryIndex": messages.RepositoryIndexRequest(),
    "RepositoryModelLoad": messages.RepositoryModelLoadRequest(model_name="evaluate"),
    "RepositoryModelUnload": messages.RepositoryModelUnloadRequest(model_name="evaluate"),
    "SystemSharedMemoryStatus": messages.SystemSharedMemoryStatusRequest(),
    "SystemSharedMemoryRegister": messages.SystemSharedMemoryRegisterRequest(name="r", key="/r", byte_size=1),
    "SystemSharedMemoryUnregister": messages.SystemSharedMemoryUnregisterRequest(),
    "CudaSharedMemoryStatus": messages.CudaSharedMemoryStatusRequest(),
    "CudaSharedMemoryRegister": messages.CudaSharedMemoryRegisterRequest(name="r", byte_size=1),
    "CudaSharedMemoryUnregister": messages.CudaSharedMemoryUnregisterRequest(),
    "TraceSetting": messages.TraceSettingRequest(),
    "LogSettings": messages.LogSettingsRequest(),
}


def call(
    server: TritonProcess, method: str, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Status and body of one HTTP call."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, "{}" if method == "POST" else None, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "path"), MANAGEMENT)
def test_http_management_is_closed(scripted_triton: TritonProcess, method: str, path: str) -> None:
    """Each call is refused without the key and with a wrong one, and the server says why."""
    for headers in ({}, {ADMIN_HEADER: "wrong"}, {ADMIN_HEADER: ""}):
        status, body = call(scripted_triton, method, path, headers)
        assert status == http.client.FORBIDDEN
        assert "This API is restricted" in body


@pytest.mark.parametrize("path", OTHER_SPELLINGS)
def test_no_other_spelling_opens_it(scripted_triton: TritonProcess, path: str) -> None:
    """A path that Triton might read as a management call does nothing."""
    assert call(scripted_triton, "POST", path)[0] in (http.client.NOT_FOUND, http.client.FORBIDDEN)
    assert scripted_triton.ready("evaluate")


@pytest.mark.parametrize("name", MANAGEMENT_CALLS)
def test_grpc_management_is_closed(scripted_triton: TritonProcess, name: str) -> None:
    """Each call is refused without the key and with a wrong one; HTTP's header doesn't open it either."""
    with grpc.InferenceServerClient(scripted_triton.grpc_url) as client:
        stub: GRPCInferenceServiceStub = client._client_stub
        for metadata in ((), tuple(ADMIN_HEADERS.items()), tuple((key, "wrong") for key in ADMIN_METADATA)):
            with pytest.raises(Exception, match="This protocol is restricted"):
                getattr(stub, name)(MANAGEMENT_CALLS[name], metadata=metadata, timeout=TIMEOUT_S)
    assert scripted_triton.ready("evaluate")


@pytest.mark.parametrize("path", READING)
def test_what_reads_is_open(scripted_triton: TritonProcess, path: str) -> None:
    """Health, metadata, configuration and statistics need no key."""
    assert call(scripted_triton, "GET", path)[0] == http.client.OK


def test_grpc_reading_is_open(scripted_triton: TritonProcess) -> None:
    """The orchestrator's calls need no key."""
    with grpc.InferenceServerClient(scripted_triton.grpc_url) as client:
        calls: list[Callable[[], object]] = [
            client.is_server_ready, client.get_server_metadata, client.get_inference_statistics,
            lambda: client.get_model_metadata("evaluate"), lambda: client.get_model_config("evaluate"),
        ]  # fmt: skip
        assert all(read() for read in calls)


def test_the_key_opens_both(scripted_triton: TritonProcess) -> None:
    """Who set TRITON_ADMIN_KEY can manage the server with it."""
    status, body = call(scripted_triton, "POST", "/v2/repository/index", ADMIN_HEADERS)
    assert status == http.client.OK
    assert {model["name"] for model in json.loads(body)} >= {"evaluate", "gemma2"}
    with grpc.InferenceServerClient(scripted_triton.grpc_url) as client:
        assert len(client.get_model_repository_index(headers=ADMIN_METADATA).models) >= 4


def test_without_a_key_of_the_operators_nobody_has_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A server that was told no key makes one up, which its log does not tell; an empty one opens nothing."""
    server = TritonProcess.scripted(tmp_path_factory.mktemp("keyless"))
    server.set(TRITON_ADMIN_KEY="")
    server.start()
    try:
        for headers in ({}, {ADMIN_HEADER: ""}, ADMIN_HEADERS):
            assert call(server, "POST", "/v2/repository/index", headers)[0] == http.client.FORBIDDEN
        with (
            grpc.InferenceServerClient(server.grpc_url) as client,
            pytest.raises(InferenceServerException, match="restricted"),
        ):
            client.unload_model("evaluate", headers=ADMIN_METADATA)
        assert f"{ADMIN_HEADER}=" not in server.log.read_text(encoding="utf-8", errors="replace")
    finally:
        server.stop()


def test_each_start_has_a_key_of_its_own() -> None:
    """The secret is random, and long enough that nobody guesses it."""
    keys = {read_admin_key({"TRITON_ADMIN_KEY": ""}) for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 64 for key in keys)
    assert read_admin_key({"TRITON_ADMIN_KEY": "sixteen-letters_"}) == "sixteen-letters_"


@pytest.mark.parametrize("value", ["short", "sixteen=letters:or", "with a blank in it", "accents-i-més-més"])
def test_a_key_that_makes_no_sense_is_refused(value: str) -> None:
    """The error is one line that names the setting and does not show the key."""
    with pytest.raises(SettingsError, match="TRITON_ADMIN_KEY") as caught:
        read_admin_key({"TRITON_ADMIN_KEY": value})
    assert value not in str(caught.value)
