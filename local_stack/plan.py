"""What to start, from the environment: commands, ports, which model. Pure but for looking at files."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from orchestrator.config import MAX_PATH_BYTES
from triton_common.server import read_port
from triton_common.supervision import SupervisionSettings

ROOT = Path(__file__).resolve().parent.parent
DEMO_MODEL = ROOT / "demo_model" / "checkpoint"
DRAIN_TIMEOUT_S = "4"
"""Shorter than in production: Ctrl-C has to end everything within ten seconds."""

DATABASE = "jobs.sqlite3"
MAX_RUN_DIR_BYTES = MAX_PATH_BYTES - len(f"/{DATABASE}")
DEMO_START_TIMEOUT_S = "180"


class PlanError(ValueError):
    """The stack can't be started like this. Its text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that ``Stack`` needs to know."""

    host: str
    port: int
    triton_grpc_port: int
    triton_metrics_port: int
    triton_http_port: int
    run_dir: Path
    model: str
    notice: str
    supervision: SupervisionSettings
    environment: Mapping[str, str]

    @property
    def triton_command(self) -> list[str]:
        python = ROOT / ".venv-server" / "bin" / "python"
        return [str(python), "-m", "triton_cpu.serve", "--run-dir", str(self.run_dir / "triton")]

    @property
    def orchestrator_command(self) -> list[str]:
        return [sys.executable, "-m", "orchestrator"]

    @property
    def orchestrator_url(self) -> str:
        return f"http://{self._reachable}:{self.port}"

    @property
    def triton_http_url(self) -> str:
        return f"http://127.0.0.1:{self.triton_http_port}"

    @property
    def _reachable(self) -> str:
        return "localhost" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104  only compared


def sqlite_url(path: Path) -> str:
    """The URL of a database file, whatever signs its path has."""
    return f"sqlite+aiosqlite:///{quote(str(path))}"


def make_plan(env: Mapping[str, str]) -> Plan:
    """The plan for ``env``. Raises PlanError, or SettingsError for a setting that makes no sense.

    Without MODEL_NAME the demo model is served: the real one is too large for a CPU.
    """
    run_dir = _run_dir(env)
    model = env.get("MODEL_NAME") or str(DEMO_MODEL)
    if os.path.isdir(model):  # noqa: PTH112  Path's raises where the name is too long for one
        model = str(Path(model).resolve())
    notice = env.get("MODEL_NOTICE") or _notice(model)
    ports = {
        "PORT": read_port(env, "PORT", 8000),
        "TRITON_GRPC_PORT": read_port(env, "TRITON_GRPC_PORT", 8001),
        "TRITON_METRICS_PORT": read_port(env, "TRITON_METRICS_PORT", 8002),
        "TRITON_HTTP_PORT": read_port(env, "TRITON_HTTP_PORT", 8003),
    }
    if len(set(ports.values())) < len(ports):
        listed = ", ".join(f"{name}={number}" for name, number in ports.items())
        raise PlanError(f"Each port must be another one, but these are not: {listed}.")
    host = env.get("HOST") or "127.0.0.1"
    environment = {
        **env,
        "HOST": host,
        **{name: str(number) for name, number in ports.items()},
        "MODEL_NAME": model,
        "MODEL_NOTICE": notice,
        "TRITON_GRPC_URL": env.get("TRITON_GRPC_URL") or f"127.0.0.1:{ports['TRITON_GRPC_PORT']}",
        "TRITON_METRICS_URL": env.get("TRITON_METRICS_URL")
        or f"http://127.0.0.1:{ports['TRITON_METRICS_PORT']}/metrics",
        "DATABASE_URL": env.get("DATABASE_URL") or sqlite_url(run_dir / DATABASE),
        "DRAIN_TIMEOUT_S": env.get("DRAIN_TIMEOUT_S") or DRAIN_TIMEOUT_S,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
    }
    # The demo model is there within a minute: a start that takes longer than this hangs.
    patience = {"TRITON_START_TIMEOUT_S": DEMO_START_TIMEOUT_S} if model == str(DEMO_MODEL) else {}
    return Plan(
        host=host,
        port=ports["PORT"],
        triton_grpc_port=ports["TRITON_GRPC_PORT"],
        triton_metrics_port=ports["TRITON_METRICS_PORT"],
        triton_http_port=ports["TRITON_HTTP_PORT"],
        run_dir=run_dir,
        model=model,
        notice=notice,
        supervision=SupervisionSettings.from_env({**patience, **env}),
        environment=environment,
    )


def _run_dir(env: Mapping[str, str]) -> Path:
    given = env.get("RUN_DIR") or str(ROOT / ".run")
    try:
        run_dir = Path(given).resolve()
        length = len(str(run_dir).encode())
    except UnicodeEncodeError:
        raise PlanError(f"RUN_DIR={given!r} is not UTF-8: set a folder whose path is.") from None
    except (OSError, RuntimeError):  # a link that leads back to itself
        raise PlanError(f"RUN_DIR={given} leads nowhere: set another folder.") from None
    if length > MAX_RUN_DIR_BYTES:
        raise PlanError(
            f"RUN_DIR={given} is too long: of its {length} bytes at most {MAX_RUN_DIR_BYTES} are taken."
        )
    return run_dir


def _notice(model: str) -> str:
    """What the model's folder says of its marks; nothing where it says nothing that can be shown."""
    try:
        return (Path(model) / "NOTICE.txt").read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""
