"""A web page of a stranger's, open in a real browser on this machine, can't change the server."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from testkit.triton import TritonProcess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGE_TIMEOUT_S = 90.0
# A browser sends all of these without asking the server first, but for the one with a header of its own.
PAGE = """<!doctype html><iframe name="sink" hidden></iframe>
<form method="post" target="sink" enctype="text/plain" action="TRITON/v2/repository/models/evaluate/unload">
<input name='{"parameters":{"x":"' value='"}}'></form>
<script>
const send = (path, body, options = {}) =>
  fetch("TRITON" + path, {method: "POST", mode: "no-cors", body, ...options})
    .then(() => "sent", () => "stopped");
(async () => {
  const said = {};
  const sent = new Promise((done) => document.querySelector("iframe").addEventListener("load", done));
  document.querySelector("form").submit();
  await sent;
  said.load = await send("/v2/repository/models/planted/load", JSON.stringify(PLANTED));
  said.unload = await send("/v2/repository/models/evaluate/unload", "{}");
  said.beacon = navigator.sendBeacon("TRITON/v2/repository/models/gemma2/unload", "{}");
  said.logging = await send("/v2/logging", JSON.stringify({log_file: LOG_FILE}));
  said.trace = await send("/v2/trace/setting", JSON.stringify({trace_level: ["TENSORS"]}));
  said.withKey = await send("/v2/repository/index", "{}", {mode: "cors", headers: {"avalua-admin-key": "x"}});
  said.generate = await send("/v2/models/evaluate/generate", JSON.stringify(ITEM));
  await fetch("/said", {method: "POST", body: JSON.stringify(said)});
})();
</script>"""
CONFIG = {
    "backend": "python",
    "max_batch_size": 0,
    "input": [{"name": "a", "data_type": "TYPE_INT32", "dims": [1]}],
    "output": [{"name": "b", "data_type": "TYPE_INT32", "dims": [1]}],
}
MODEL = """import pathlib
pathlib.Path({marker!r}).touch()
class TritonPythonModel:
    def execute(self, requests):
        return []
"""


class Page:
    """The stranger's web server: one page, and what its script says at its end."""

    def __init__(self, html: str) -> None:
        self.said: dict[str, str] = {}
        self.done = threading.Event()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(html.encode() if self.path == "/" else b"")

            def do_POST(self) -> None:
                page.said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(b"")
                page.done.set()

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing on the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Page:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def visit(page: Page, profile: Path) -> None:
    """Open the page in a browser and return once its script has come to its end."""
    assert CHROMIUM is not None
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    with (profile.parent / "chromium.log").open("wb") as log:
        browser = subprocess.Popen(
            [CHROMIUM, *flags, f"--user-data-dir={profile}", page.url], stdout=log, stderr=log
        )
        try:
            assert page.done.wait(PAGE_TIMEOUT_S), (profile.parent / "chromium.log").read_text()[-2000:]
        finally:
            browser.terminate()
            browser.wait(30)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TritonProcess, Page, Path]]:
    """A server, the page after its visit to it, and the folder where its code would leave a mark."""
    folder = tmp_path_factory.mktemp("foreign-page")
    server = TritonProcess.scripted(folder / "triton")
    server.start()
    code = base64.b64encode(MODEL.format(marker=str(folder / "ran")).encode()).decode()
    planted = {"parameters": {"config": json.dumps(CONFIG), "file:1/model.py": code}}
    item = {"curso": "1r ESO", "consigna": "Prova.", "respuesta": "Hola."}
    html = PAGE.replace("TRITON", server.http_url).replace("PLANTED", json.dumps(planted))
    html = html.replace("LOG_FILE", json.dumps(str(folder / "log"))).replace("ITEM", json.dumps(item))
    try:
        with Page(html) as page:
            visit(page, folder / "profile")
            yield server, page, folder
    finally:
        server.stop()


pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium"),
    pytest.mark.xdist_group("foreign-page"),
]


def test_its_code_does_not_run(foreign: tuple[TritonProcess, Page, Path]) -> None:
    """A model that the page brings along is not loaded, and the server writes no file for it."""
    server, _, folder = foreign
    assert not (folder / "ran").exists()
    assert not (folder / "log").exists()
    assert not server.ready("planted")


def test_the_models_stay(foreign: tuple[TritonProcess, Page, Path]) -> None:
    """What the page sent to unload them, by script, beacon and form, changed nothing."""
    assert all(foreign[0].ready(model) for model in ("evaluate", "preprocess", "gemma2", "postprocess"))


def test_it_gets_no_header_through(foreign: tuple[TritonProcess, Page, Path]) -> None:
    """The browser asks first before it sends the key's header, and Triton's answer forbids it."""
    assert foreign[1].said["withKey"] == "stopped"


def test_its_requests_did_reach_the_server(foreign: tuple[TritonProcess, Page, Path]) -> None:
    """Inference stays open, so the page had a text marked, whose answer it can't read: it was a true try."""
    server, page, _ = foreign
    assert {page.said[name] for name in ("load", "unload", "logging", "trace", "generate")} == {"sent"}
    assert (
        server.metrics('nv_inference_request_success{model="evaluate"')["nv_inference_request_success"] >= 1
    )
