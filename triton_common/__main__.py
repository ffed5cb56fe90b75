"""``python3 -m triton_common``: what NVIDIA's image runs.

Renders the model repository, then becomes Triton.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from triton_common.repository import lay_out
from triton_common.server import Ports, command
from triton_common.settings import ModelSettings, SettingsError

TRITON = Path("/opt/tritonserver")


def main() -> int:  # noqa: RET503  it ends by becoming another program
    try:
        ports = Ports.from_env(os.environ)
        engine_args = ModelSettings.from_env(os.environ).engine_args("cuda")
    except SettingsError as error:
        print(f"triton: {error}", file=sys.stderr)
        return 2
    repository = lay_out(Path("/run/avalua/model_repository"), engine_args)
    server = TRITON / "bin" / "tritonserver"
    os.execv(server, command(server, repository, TRITON / "backends", "0.0.0.0", ports))  # noqa: S104, S606


if __name__ == "__main__":
    sys.exit(main())
