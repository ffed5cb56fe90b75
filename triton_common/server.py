"""Triton's command line: the same in NVIDIA's image and on the CPU."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triton_common.settings import SettingsError

MANAGEMENT = ("model-repository", "shared-memory", "trace", "logging")
"""The protocols through which a client changes the server: ``load`` alone takes code and runs it."""
ADMIN_HEADER = "avalua-admin-key"
"""The HTTP header that opens them; over gRPC it is ``triton-grpc-protocol-avalua-admin-key``."""
PORT = re.compile(r"[0-9]{1,5}")
ADMIN_KEY = re.compile(r"[A-Za-z0-9_-]{16,}")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where Triton listens."""

    grpc: int
    metrics: int
    http: int

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Ports:
        """Read TRITON_GRPC_PORT, TRITON_METRICS_PORT and TRITON_HTTP_PORT. Raises SettingsError."""
        return cls(
            read_port(env, "TRITON_GRPC_PORT", 8001),
            read_port(env, "TRITON_METRICS_PORT", 8002),
            read_port(env, "TRITON_HTTP_PORT", 8003),
        )

    def by_setting(self) -> dict[str, int]:
        """The ports by the settings that name them."""
        return {
            "TRITON_GRPC_PORT": self.grpc,
            "TRITON_METRICS_PORT": self.metrics,
            "TRITON_HTTP_PORT": self.http,
        }


def read_port(env: Mapping[str, str], name: str, default: int) -> int:
    """The port that ``name`` sets. Raises SettingsError where it is none."""
    value = env.get(name) or str(default)
    if not PORT.fullmatch(value) or not 0 < int(value) < 65536:
        raise SettingsError(f"{name}={value!r} is not a port: give a number from 1 to 65535.")
    return int(value)


def read_admin_key(env: Mapping[str, str]) -> str:
    """What opens the management protocols: TRITON_ADMIN_KEY, or else a secret that nobody is told.

    Raises SettingsError where it is too short to keep anybody out, or would break Triton's option.
    """
    value = env.get("TRITON_ADMIN_KEY") or secrets.token_hex(32)
    if not ADMIN_KEY.fullmatch(value):
        raise SettingsError("TRITON_ADMIN_KEY must be 16 or more letters, digits, - or _.")
    return value


def command(
    server: Path, repository: Path, backends: Path, host: str, ports: Ports, *, admin_key: str
) -> list[str]:
    """Triton's command line. ``admin_key`` opens the management protocols, which are closed without it."""
    # A web page of any origin may send a POST to a port of this machine, and `load` takes code in it.
    # Triton takes the key as an argument only: who may list this machine's processes in full can read it.
    closed = f"{','.join(MANAGEMENT)}:{ADMIN_HEADER}={admin_key}"
    return [
        str(server),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        # Explicit control lets the vLLM backend unload its model once its engine has failed.
        "--model-control-mode=explicit",
        "--load-model=*",
        "--exit-timeout-secs=30",
        f"--http-restricted-api={closed}",
        f"--grpc-restricted-protocol={closed}",
        f"--grpc-address={host}",
        f"--http-address={host}",
        f"--metrics-address={host}",
        f"--grpc-port={ports.grpc}",
        f"--http-port={ports.http}",
        f"--metrics-port={ports.metrics}",
        # Latencies, not only their sums. Histograms are newer and can be added up over servers; 24.10 passes
        # over what it does not know here.
        "--metrics-config=summary_latencies=true",
        "--metrics-config=histogram_latencies=true",
    ]
