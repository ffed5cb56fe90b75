"""What to start, from the environment: commands, ports, which model. Pure but for looking at files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from orchestrator.config import MAX_PATH_BYTES
from triton_common.server import Ports, read_port
from triton_common.supervision import SupervisionSettings

ROOT = Path(__file__).resolve().parent.parent
DEMO_MODEL = ROOT / "demo_model" / "checkpoint"
DRAIN_TIMEOUT_S = "4"
"""Shorter than in production: Ctrl-C has to end everything within ten seconds."""

DATABASE = "jobs.sqlite3"
MAX_RUN_DIR_BYTES = MAX_PATH_BYTES - len(f"/{DATABASE}")
DEMO_START_TIMEOUT_S = "180"

PORT_STEP = 10
"""How far a server's ports are from those of the one before."""
MAX_PORT = 65535
MAX_TRITONS = 16
COUNT = re.compile(r"[0-9]{1,3}")


class PlanError(ValueError):
    """The stack can't be started like this. Its text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class TritonPlan:
    """One server: what starts it, and where it listens."""

    name: str
    ports: Ports
    log: Path
    command: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.metrics}/metrics"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that ``Stack`` needs to know."""

    host: str
    port: int
    tritons: tuple[TritonPlan, ...]
    run_dir: Path
    model: str
    notice: str
    supervision: SupervisionSettings
    environment: Mapping[str, str]

    @property
    def orchestrator_command(self) -> list[str]:
        return [sys.executable, "-m", "orchestrator"]

    @property
    def orchestrator_url(self) -> str:
        return f"http://{self._reachable}:{self.port}"

    @property
    def _reachable(self) -> str:
        return "localhost" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104  only compared


def sqlite_url(path: Path) -> str:
    """The URL of a database file, whatever signs its path has."""
    return f"sqlite+aiosqlite:///{quote(str(path))}"


def make_plan(env: Mapping[str, str], triton_arguments: Sequence[str] = ()) -> Plan:
    """The plan for ``env``. Raises PlanError, or SettingsError for a setting that makes no sense.

    Without MODEL_NAME the demo model is served: the real one is too large for a CPU. ``triton_arguments``
    are further ones of ``triton_cpu.serve``.
    """
    run_dir = _run_dir(env)
    model = env.get("MODEL_NAME") or str(DEMO_MODEL)
    if os.path.isdir(model):  # noqa: PTH112  Path's raises where the name is too long for one
        model = str(Path(model).resolve())
    notice = env.get("MODEL_NOTICE") or _notice(model)
    host = env.get("HOST") or "127.0.0.1"
    port = read_port(env, "PORT", 8000)
    environment = {
        **env,
        "HOST": host,
        "PORT": str(port),
        "MODEL_NAME": model,
        "MODEL_NOTICE": notice,
        "DATABASE_URL": env.get("DATABASE_URL") or sqlite_url(run_dir / DATABASE),
        "DRAIN_TIMEOUT_S": env.get("DRAIN_TIMEOUT_S") or DRAIN_TIMEOUT_S,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
    }
    count = _triton_count(env)
    tritons = tuple(_triton(number, count, environment, run_dir, triton_arguments) for number in range(count))
    _check_ports(port, tritons)
    # The demo model is there within a minute: a start that takes longer than this hangs.
    patience = {"TRITON_START_TIMEOUT_S": DEMO_START_TIMEOUT_S} if model == str(DEMO_MODEL) else {}
    return Plan(
        host=host,
        port=port,
        tritons=tritons,
        run_dir=run_dir,
        model=model,
        notice=notice,
        supervision=SupervisionSettings.from_env({**patience, **env}),
        environment={
            **environment,
            "TRITON_GRPC_URL": env.get("TRITON_GRPC_URL") or ",".join(one.grpc_url for one in tritons),
            "TRITON_METRICS_URL": env.get("TRITON_METRICS_URL")
            or ",".join(one.metrics_url for one in tritons),
        },
    )


def _triton_count(env: Mapping[str, str]) -> int:
    given = env.get("TRITONS") or "1"
    if not COUNT.fullmatch(given) or not 1 <= int(given) <= MAX_TRITONS:
        raise PlanError(f"TRITONS={given!r} is no number of servers: give one from 1 to {MAX_TRITONS}.")
    return int(given)


def _triton(
    number: int, count: int, env: Mapping[str, str], run_dir: Path, arguments: Sequence[str]
) -> TritonPlan:
    """The server with that ``number``, from 0, of ``count``."""
    suffix = f"-{number + 1}" if number else ""
    folder = run_dir / f"triton{suffix}"
    first, step = Ports.from_env(env), number * PORT_STEP
    ports = Ports(first.grpc + step, first.metrics + step, first.http + step)
    environment = {**env, **{name: str(port) for name, port in ports.by_setting().items()}}
    if count > 1 and not env.get("OMP_NUM_THREADS"):
        # One core is everybody else's. The others are divided: threads of two servers that spin on the same
        # core keep each other from working.
        environment["OMP_NUM_THREADS"] = str(max(1, (len(os.sched_getaffinity(0)) - 1) // count))
    python = ROOT / ".venv-server" / "bin" / "python"
    return TritonPlan(
        name=f"Triton {number + 1}" if count > 1 else "Triton",
        ports=ports,
        log=run_dir / f"triton{suffix}.log",
        command=(str(python), "-m", "triton_cpu.serve", "--run-dir", str(folder), *arguments),
        environment=environment,
    )


def _check_ports(port: int, tritons: Sequence[TritonPlan]) -> None:
    """Raise PlanError unless all ports are ports, and different ones."""
    ports = {"PORT": port}
    for triton in tritons:
        of_which = f" ({triton.name})" if len(tritons) > 1 else ""
        ports |= {f"{name}{of_which}": number for name, number in triton.ports.by_setting().items()}
    listed = ", ".join(f"{name}={number}" for name, number in ports.items())
    if len(set(ports.values())) < len(ports):
        raise PlanError(f"Each port must be another one, but these are not: {listed}.")
    if max(ports.values()) > MAX_PORT:
        raise PlanError(f"The last port is {MAX_PORT}, but these go further: {listed}. Set lower ones.")


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
