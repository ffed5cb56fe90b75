"""What can be checked of the images without building them: lint, schema, and that all they name exists."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.triton_process import ROOT

DOCKERFILES = ["Dockerfile.triton", "Dockerfile.api"]
TOOLS = Path(sys.executable).parent


def instructions(name: str) -> list[tuple[str, str]]:
    """The Dockerfile's instructions as (word, rest), continuation lines joined."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in lines)]


def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return parsed


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile_passes_hadolint(name: str) -> None:
    """hadolint finds nothing to say."""
    ended = subprocess.run(
        [TOOLS / "hadolint", ROOT / name], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")


def test_compose_file_keeps_the_schema() -> None:
    """docker-compose.yml is valid by the Compose specification's own schema."""
    ended = subprocess.run(
        [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr


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


def test_compose_builds_the_dockerfiles_and_reserves_a_gpu() -> None:
    """Both services build from our Dockerfiles and restart; Triton has a GPU and a model cache."""
    services = compose()["services"]
    assert {services[name]["build"]["dockerfile"] for name in ("triton", "orchestrator")} == set(DOCKERFILES)
    (device,) = services["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert any("/var/cache/huggingface" in volume for volume in services["triton"]["volumes"])
    assert all(services[name]["restart"] == "unless-stopped" for name in ("triton", "orchestrator"))


def test_published_ports_are_the_contracts() -> None:
    """Unless changed, the services are found on 8000 to 8003."""
    ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    defaults = {int(match.group(1)) for port in ports if (match := re.match(r"\$\{\w+:-(\d+)\}:\1$", port))}
    assert defaults >= {8000, 8001, 8002, 8003}
