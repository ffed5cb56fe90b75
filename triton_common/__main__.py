"""``python3 -m triton_common``: what NVIDIA's image runs. Renders the model repository, then keeps Triton.

Exits 0 when it was asked to end, 2 for settings that make no sense, and else because Triton died or no
longer grades: what then happens is the restart policy's affair.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from triton_common.grading_settings import GradingSettings
from triton_common.keeper import Keeper
from triton_common.probe import Probe
from triton_common.repository import lay_out
from triton_common.server import Ports, command, read_admin_key
from triton_common.settings import ModelSettings, SettingsError
from triton_common.supervision import SupervisionSettings

TRITON = Path("/opt/tritonserver")


def main() -> int:
    try:
        ports = Ports.from_env(os.environ)
        admin_key = read_admin_key(os.environ)
        settings = SupervisionSettings.from_env(os.environ)
        GradingSettings.from_env(os.environ)
        engine_args = ModelSettings.from_env(os.environ).engine_args("cuda")
    except SettingsError as error:
        print(f"triton: {error}", file=sys.stderr)
        return 2
    repository = lay_out(Path("/run/avalua/model_repository"), engine_args)
    server = TRITON / "bin" / "tritonserver"
    # On all of the container's addresses: the orchestrator is another one. Compose publishes none of them.
    host = "0.0.0.0"  # noqa: S104
    arguments = command(server, repository, TRITON / "backends", host, ports, admin_key=admin_key)
    probe = Probe(ports.http, settings.triton_probe_timeout_s)
    return Keeper(arguments, os.environ, probe, settings).run()


if __name__ == "__main__":
    sys.exit(main())
