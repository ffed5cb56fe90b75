"""What can be checked of the images without building them: lint, users, and that all they name exists."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from local_stack.ports import free_ports
from testkit.triton import ROOT
from triton_common import healthcheck, probe

DOCKERFILES = ["Dockerfile.triton", "Dockerfile.api"]
TOOLS = Path(sys.executable).parent


def instructions(name: str) -> list[tuple[str, str]]:
    """The Dockerfile's instructions as (word, rest), continuation lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in lines)]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile_passes_hadolint(name: str) -> None:
    """hadolint finds nothing to say."""
    ended = subprocess.run(
        [TOOLS / "hadolint", ROOT / name], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_copied_sources_exist_and_reach_the_build(name: str) -> None:
    """Every COPY source exists in the repository and is let through by .dockerignore."""
    allowed = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().split()
        if line.startswith("!")
    ]
    sources = [source for word, rest in instructions(name) if word == "COPY" for source in rest.split()[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(f"{path}/") for path in allowed), source


@pytest.mark.parametrize("name", DOCKERFILES)
def test_links_lead_to_what_is_copied(name: str) -> None:
    """A file that a copied folder has by a link is copied to where the link leads."""
    copied = {source for word, rest in instructions(name) if word == "COPY" for source in rest.split()[:-1]}
    links = [path for source in copied for path in (ROOT / source).rglob("*") if path.is_symlink()]
    assert links
    for link in links:
        target = link.resolve().relative_to(ROOT)
        assert any(target.is_relative_to(source) for source in copied), link


@pytest.mark.parametrize("name", DOCKERFILES)
def test_commands_run_modules_that_exist_and_are_copied(name: str) -> None:
    """What CMD and HEALTHCHECK run with ``-m`` is a module of ours that the image holds."""
    copied = {source for word, rest in instructions(name) if word == "COPY" for source in rest.split()[:-1]}
    modules = []
    for word, rest in instructions(name):
        if word in ("CMD", "HEALTHCHECK"):
            command = json.loads(rest[rest.index("[") :])
            if "-m" in command:
                modules.append(command[command.index("-m") + 1])
    assert modules
    for module in modules:
        assert module.split(".")[0] in copied
        assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_run_as_a_user(name: str) -> None:
    """The last USER is a number other than root's, which an orchestrator of containers can check."""
    user = [rest for word, rest in instructions(name) if word == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_volumes_belong_to_the_user(name: str) -> None:
    """A named volume takes owner and mode from the image's folder, so each is made for the image's user."""
    user, group = [rest for word, rest in instructions(name) if word == "USER"][-1].split(":")
    made = [rest for word, rest in instructions(name) if word == "RUN" and "install -d" in rest]
    volumes = [
        path for word, rest in instructions(name) if word == "VOLUME" for path in re.findall(r"/[\w/]+", rest)
    ]
    assert volumes
    for path in volumes:
        assert any(f"-o {user} -g {group}" in rest and path in rest.split() for rest in made), path


def health_command(name: str) -> tuple[str, list[str]]:
    """The options of HEALTHCHECK, and what it runs."""
    (rest,) = (rest for word, rest in instructions(name) if word == "HEALTHCHECK")
    options, _, command = rest.partition("CMD")
    return options, json.loads(command)


class Live(BaseHTTPRequestHandler):
    """Says that it lives, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing on the tests' output."""


def test_health_of_the_api_is_asked_without_a_proxy() -> None:
    """The check finds a service that lives, whatever proxy the environment names, and one that doesn't."""
    _, (_, *arguments) = health_command("Dockerfile.api")
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    server = HTTPServer(("127.0.0.1", 0), Live)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    environment = {**os.environ, "http_proxy": dead, "HTTP_PROXY": dead, "no_proxy": "", "NO_PROXY": ""}

    def check(port: int) -> int:
        return subprocess.run(
            [sys.executable, *arguments], env={**environment, "PORT": str(port)}, timeout=30, check=False,
            stderr=subprocess.DEVNULL,
        ).returncode  # fmt: skip

    try:
        assert check(server.server_port) == 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert check(server.server_port) != 0


def test_health_of_triton_is_given_the_time_that_it_takes() -> None:
    """Docker waits longer than the check's own deadlines, so that the check itself says what is wrong."""
    options, _ = health_command("Dockerfile.triton")
    (timeout_s,) = re.findall(r"--timeout=(\d+)s", options)
    assert int(timeout_s) > healthcheck.TIMEOUT_S + 2 * probe.STATISTICS_TIMEOUT_S
