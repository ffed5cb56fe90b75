"""A real Triton for tests: started on free ports, killed and started again at will."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_stack.child import CRASHES
from local_stack.ports import free_ports
from testkit.direct import open_url
from triton_common.server import ADMIN_HEADER
from triton_cpu.serve import remove_stale_memory

ROOT = Path(__file__).resolve().parent.parent
SERVER_PYTHON = ROOT / ".venv-server" / "bin" / "python"
TEST_MODEL = Path(os.environ.get("TEST_MODEL") or ROOT / "demo_model" / "checkpoint")
SCRIPTED = ROOT / "testkit" / "scripted"
SCRIPTED_MODEL = ("--overlay", str(SCRIPTED), "--no-vllm")
"""Arguments of ``triton_cpu.serve``: the scripted model in gemma2's place."""
START_ATTEMPTS = 3
ADMIN_KEY = "the-key-of-the-tests"
"""Opens the management protocols of every server that a test starts."""
ADMIN_HEADERS = {ADMIN_HEADER: ADMIN_KEY}
ADMIN_METADATA = {f"triton-grpc-protocol-{ADMIN_HEADER}": ADMIN_KEY}
"""The same over gRPC."""


class TritonProcess:
    """One server process. ``start`` returns when it is ready, ``stop`` when it is gone."""

    def __init__(
        self, run_dir: Path, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.run_dir = run_dir
        self.log = run_dir / "triton.log"
        self.grpc_port, self.http_port, self.metrics_port = free_ports(3)
        self._arguments = list(arguments)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def scripted(cls, run_dir: Path, environment: Mapping[str, str] | None = None) -> TritonProcess:
        """A server whose gemma2 does what the student's text says (``testkit/scripted``)."""
        return cls(run_dir, SCRIPTED_MODEL, environment)

    @classmethod
    def vllm(cls, run_dir: Path, environment: Mapping[str, str] | None = None) -> TritonProcess:
        """A server with the real vLLM backend and the model that `make run` serves."""
        return cls(run_dir, environment={"MODEL_NAME": str(TEST_MODEL), **(environment or {})})

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def command(self) -> list[str]:
        """What starts this server, for who wants to be the parent."""
        serve = [str(SERVER_PYTHON), "-m", "triton_cpu.serve", "--run-dir", str(self.run_dir / "served")]
        return [*serve, *self._arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The environment that ``command`` needs."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TRITON_GRPC_PORT": str(self.grpc_port),
            "TRITON_HTTP_PORT": str(self.http_port),
            "TRITON_METRICS_PORT": str(self.metrics_port),
            "TRITON_ADMIN_KEY": ADMIN_KEY,
            **self._environment,
        }

    def launch(self) -> None:
        """Start the process without waiting for it to be ready."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, so that its model processes can be ended with it.
                start_new_session=True,
            )

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Return once the server says that all its models are ready; raise with its log's end if it dies."""
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with open_url(f"{self.http_url}/v2/health/ready", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                # The server has no other way to say that it is ready than being asked.
                try:
                    self._process.wait(timeout=0.1)
                except subprocess.TimeoutExpired:
                    continue
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-12000:]
        raise RuntimeError(f"Triton did not get ready in {timeout_s} s:\n{tail}")

    def metrics_page(self) -> str:
        with open_url(self.metrics_url, timeout=5) as page:
            return str(page.read(), "utf-8")

    def metrics(self, prefix: str) -> dict[str, float]:
        """The server's metrics whose names start with ``prefix``; buckets are left out."""
        values = {}
        for line in self.metrics_page().splitlines():
            if line.startswith(prefix) and "_bucket" not in line:
                name, value = line.rsplit(" ", 1)
                values[name.split("{")[0]] = float(value)
        return values

    def wait_for_metric(self, name: str, before: Mapping[str, float], timeout_s: float = 10.0) -> None:
        """Return once metric ``name`` has grown since ``before`` was read."""
        deadline = time.monotonic() + timeout_s
        while self.metrics(name).get(name, 0) <= before.get(name, 0):
            assert time.monotonic() < deadline, f"{name} did not grow in {timeout_s} s"

    def ready(self, model: str) -> bool:
        """Whether the server says that ``model`` is ready."""
        try:
            with open_url(f"{self.http_url}/v2/models/{model}/ready", timeout=5):
                return True
        except urllib.error.HTTPError:
            return False

    def wait_not_ready(self, model: str, timeout_s: float = 20.0) -> None:
        """Return once the server says that ``model`` is not ready."""
        deadline = time.monotonic() + timeout_s
        while self.ready(model):
            assert time.monotonic() < deadline, f"{model} is still ready after {timeout_s} s"

    def wait_for_log(self, text: str, timeout_s: float = 20.0) -> None:
        """Return once ``text`` stands in the server's log."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log.read_text(encoding="utf-8", errors="replace"):
            assert time.monotonic() < deadline, f"{text!r} is not in the log after {timeout_s} s"

    def reload(self, model: str) -> None:
        """Have the server load ``model`` anew, as if its files had changed; return once it has."""
        for path in (self.repository / model).rglob("*.p*"):
            path.touch()
        url = f"{self.http_url}/v2/repository/models/{model}/load"
        headers = {"Content-Type": "application/json", **ADMIN_HEADERS}
        request = urllib.request.Request(url, b"{}", headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60):  # noqa: S310
            pass

    @property
    def repository(self) -> Path:
        """The model repository that this server serves."""
        return self.run_dir / "served" / "model_repository"

    def set(self, **environment: str) -> None:
        """Have these variables from the next start on."""
        self._environment.update(environment)

    def start(self) -> None:
        """Launch and wait. Triton 24.10 now and then aborts in its own start: that is tried again."""
        for attempt in range(1, START_ATTEMPTS + 1):
            self.launch()
            try:
                self.wait_ready()
            except RuntimeError:
                assert self._process is not None
                if attempt == START_ATTEMPTS or self._process.poll() not in CRASHES:
                    raise
            else:
                return

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        assert self._process is not None
        self._end_group()
        self._process.wait(timeout=30)
        remove_stale_memory(f"avalua-{self.http_port}-")

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def stop(self) -> int:
        """End the server in good order and return its exit status; kill it if that takes too long."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
        self._end_group()
        return self._process.returncode
