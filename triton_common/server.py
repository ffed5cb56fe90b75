"""Triton's command line: the same in NVIDIA's image and on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triton_common.settings import SettingsError


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
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise SettingsError(f"{name}={value!r} is not a port: give a number from 1 to 65535.")
    return int(value)


def command(server: Path, repository: Path, backends: Path, host: str, ports: Ports) -> list[str]:
    """Triton's command line."""
    return [
        str(server),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        # Explicit control lets the vLLM backend unload its model once its engine has failed.
        "--model-control-mode=explicit",
        "--load-model=*",
        "--exit-timeout-secs=30",
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
