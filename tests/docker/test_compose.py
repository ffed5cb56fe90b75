"""docker-compose.yml: what it builds, what it publishes, what each container may do, and what it is told."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import triton_common
from orchestrator.config import Settings, load_settings
from testkit.triton import ROOT
from tests.docker.test_images import DOCKERFILES, TOOLS
from tests.test_settings_are_documented import documented
from triton_common.settings import EnvSettings

COMPOSE, TRITON_PORTS = "docker-compose.yml", "docker-compose.triton-ports.yml"
CLUSTER = "docker-compose.cluster.yml"
FILES = [COMPOSE, TRITON_PORTS, CLUSTER]
OWN = ("triton", "orchestrator")
# What Triton's libraries read, not we.
OF_LIBRARIES = {"HF_TOKEN"}
# What a container has to be told, whatever .env says: where it and the other one are.
FIXED = {
    "triton": {"TRITON_GRPC_PORT": "8001", "TRITON_METRICS_PORT": "8002", "TRITON_HTTP_PORT": "8003"},
    "orchestrator": {
        "HOST": "0.0.0.0",  # noqa: S104  inside the container
        "PORT": "8000",
        "DATABASE_URL": "sqlite+aiosqlite:////var/lib/avalua/jobs.sqlite3",
        "TRITON_GRPC_URL": "triton:8001",
        "TRITON_METRICS_URL": "http://triton:8002/metrics",
        # Prometheus calls it by that name.
        "ALLOWED_HOSTS": "orchestrator,${ALLOWED_HOSTS:-}",
    },
}
OF_MAKE_RUN = {"RUN_DIR", "TRITON_HOST", "TRITONS", "CPU_REPLACEMENTS"}
ON_THIS_MACHINE = re.compile(r"127\.0\.0\.1:|\$\{PUBLISH_ADDRESS:-127\.0\.0\.1\}:")


def services(name: str = COMPOSE) -> dict[str, dict[str, Any]]:
    parsed: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["services"]
    return parsed


ALL = sorted(services())


def environment(service: str) -> dict[str, str | None]:
    """What the service is told; None where the value is the one that Compose itself was given, if any."""
    told: dict[str, str | None] = services()[service]["environment"]
    return told


@pytest.mark.parametrize("name", FILES)
def test_compose_file_keeps_the_schema(name: str) -> None:
    """It is valid by the Compose specification's own schema."""
    ended = subprocess.run(
        [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / name],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_compose_builds_the_dockerfiles_and_reserves_a_gpu() -> None:
    """Both services build from our Dockerfiles and restart; Triton has a GPU and a model cache."""
    found = services()
    assert {found[name]["build"]["dockerfile"] for name in OWN} == set(DOCKERFILES)
    (device,) = found["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert any("/var/cache/huggingface" in volume for volume in found["triton"]["volumes"])
    assert all(found[name]["restart"] == "unless-stopped" for name in OWN)


def test_triton_publishes_no_port() -> None:
    """The other containers reach it by name; nobody else does."""
    assert "ports" not in services()["triton"]
    assert "network_mode" not in services()["triton"]


@pytest.mark.parametrize("name", [COMPOSE, TRITON_PORTS])
def test_ports_are_published_on_this_machine_alone(name: str) -> None:
    """Each published port names a loopback address, or PUBLISH_ADDRESS whose default is one."""
    ports = [port for service in services(name).values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not ON_THIS_MACHINE.match(port)] == []


def test_published_ports_are_the_contracts() -> None:
    """Unless changed, the services are found on 8000, and Triton, where asked for, on 8001 to 8003."""
    for name, wanted in ((COMPOSE, {8000}), (TRITON_PORTS, {8001, 8002, 8003})):
        ports = [port for service in services(name).values() for port in service.get("ports", [])]
        defaults = {int(match[1]) for port in ports if (match := re.search(r":\$\{\w+:-(\d+)\}:\1$", port))}
        assert defaults >= wanted


@pytest.mark.parametrize("service", [*ALL, "postgres"])
def test_containers_can_do_little(service: str) -> None:
    """Each runs as a user, on a read-only disk, without capabilities or new privileges, and within limits."""
    settings = {**services(CLUSTER), **services()}[service]
    assert re.fullmatch(r"[1-9]\d*:\d+", settings["user"])
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in settings["security_opt"]
    assert settings["mem_limit"]
    assert settings["pids_limit"] > 0
    assert settings["ulimits"]["nofile"] >= 65536
    assert any(path.startswith("/tmp:") and "size=" in path for path in settings["tmpfs"])  # noqa: S108
    assert {"privileged", "cap_add", "network_mode", "pid", "ipc"} & set(settings) == set()
    assert not any("docker.sock" in volume for volume in settings.get("volumes", []))


def test_workers_are_orchestrators_that_answer_nobody() -> None:
    """They differ from the one that does in their role, publish nothing, and start only where asked for."""
    orchestrator, worker = services()["orchestrator"], services()["worker"]
    differing = {key for key in worker if worker[key] != orchestrator.get(key)}
    assert differing == {"profiles", "environment", "ports"}
    assert worker["environment"] == {**orchestrator["environment"], "ROLES": "worker"}
    assert (worker["ports"], worker["profiles"]) == ([], ["cluster"])


def test_a_cluster_shares_one_database() -> None:
    """Of whom the one answers and the others mark; all wait for it, and nobody else reaches it."""
    cluster = services(CLUSTER)
    both = [cluster[name] for name in ("orchestrator", "worker")]
    urls = {one["environment"]["DATABASE_URL"] for one in both}
    assert urls == {"postgresql://avalua:${POSTGRES_PASSWORD:-}@postgres/avalua"}
    assert cluster["orchestrator"]["environment"]["ROLES"] == "api"
    assert all(one["depends_on"] == {"postgres": {"condition": "service_healthy"}} for one in both)
    assert "ports" not in cluster["postgres"]
    load_settings({"DATABASE_URL": urls.pop().replace("${POSTGRES_PASSWORD:-}", "secret")})


@pytest.mark.parametrize("service", OWN)
def test_user_is_the_images(service: str) -> None:
    """Compose and image agree on the user, to whom the volumes belong."""
    settings = services()[service]
    dockerfile = (ROOT / settings["build"]["dockerfile"]).read_text(encoding="utf-8")
    assert f"\nUSER {settings['user']}\n" in dockerfile


def test_triton_can_write_where_it_must() -> None:
    """What the image's environment and our code write to is a volume or a tmpfs of its user's."""
    settings = services()["triton"]
    dockerfile = (ROOT / "Dockerfile.triton").read_text(encoding="utf-8")
    written = set(re.findall(r"(?:HOME|_CACHE_HOME|_CACHE_DIR)=(/\S+)", dockerfile))
    written |= set(re.findall(r'Path\("(/run/[^"]+)"\)', (ROOT / "triton_common/__main__.py").read_text()))
    writable = [volume.split(":")[1] for volume in settings["volumes"]]
    writable += [mount.split(":")[0] for mount in settings["tmpfs"]]
    assert len(written) >= 4
    for path in written:
        assert any(path == place or path.startswith(f"{place}/") for place in writable), path


def literals(folder: Path) -> set[str]:
    """All strings that stand in the folder's code."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py"))
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def subclasses(cls: type[EnvSettings]) -> Iterator[type[EnvSettings]]:
    for found in cls.__subclasses__():
        yield found
        yield from subclasses(found)


def read_by(service: str) -> set[str]:
    """The settings that the service reads: fields of its classes, and names that stand in its code."""
    if service == "orchestrator":
        folders, fields = ["orchestrator"], set(Settings.model_fields)
    else:
        for module in pkgutil.iter_modules(triton_common.__path__):
            if module.name != "__main__":
                importlib.import_module(f"triton_common.{module.name}")
        ours = [cls for cls in subclasses(EnvSettings) if cls.__module__.startswith("triton_common.")]
        folders, fields = (
            ["triton_common", "model_repository"],
            {name for cls in ours for name in cls.model_fields},
        )
    named = {name for folder in folders for name in literals(ROOT / folder)} & set(documented())
    return {field.upper() for field in fields} | named


@pytest.mark.parametrize("service", OWN)
def test_each_container_is_told_all_its_settings(service: str) -> None:
    """What the service's code reads is passed on to it."""
    missing = read_by(service) - set(environment(service))
    assert missing == set(), (
        f"{service} reads {', '.join(sorted(missing))}, which docker-compose.yml does not pass on: "
        f"add a line `NAME:` for each to services.{service}.environment"
    )


@pytest.mark.parametrize("service", OWN)
def test_each_container_is_told_nothing_else(service: str) -> None:
    """No settings of the other's, and no file with all of them; a name of none is a line to remove."""
    assert "env_file" not in services()[service]
    allowed = read_by(service) | (OF_LIBRARIES if service == "triton" else set())
    assert set(environment(service)) - allowed == set()


def test_secrets_reach_one_container_only() -> None:
    """The database's address is the orchestrator's; the hub's token and Triton's key are Triton's."""
    assert "DATABASE_URL" not in environment("triton")
    assert {"HF_TOKEN", "TRITON_ADMIN_KEY"} & set(environment("orchestrator")) == set()


@pytest.mark.parametrize("service", OWN)
def test_what_is_unset_stays_unset(service: str) -> None:
    """A setting has Compose's own value or none, so that its default stands in one place: the code."""
    fixed = {name: value for name, value in environment(service).items() if value is not None}
    assert fixed == FIXED[service]


def test_every_documented_setting_has_an_effect_in_docker() -> None:
    """Each line of .env.example reaches a container or the Compose file, or is of `make run` alone."""
    used = {name for file in FILES for name in variables(file)}
    told = {name for service in OWN for name in environment(service)}
    assert set(documented()) - used - told == OF_MAKE_RUN


@pytest.mark.parametrize("name", FILES)
def test_every_variable_of_compose_is_documented(name: str) -> None:
    """What the file takes from .env has a line, with the same default, in .env.example."""
    lines = documented()
    assert variables(name)
    for variable, default in variables(name).items():
        assert lines.get(variable) == default, variable


def variables(name: str) -> dict[str, str]:
    """The variables of the file, with their defaults."""
    return dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / name).read_text(encoding="utf-8")))
