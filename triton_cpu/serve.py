"""``python -m triton_cpu.serve``: lay everything out, then become Triton.

The process turns into ``tritonserver`` itself (exec), so signals, exit status and process id are the
server's own. Settings come from the environment: the model's (``triton_common.settings``), TRITON_HOST,
TRITON_GRPC_PORT, TRITON_HTTP_PORT and TRITON_METRICS_PORT.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from triton_common.grading_settings import GradingSettings
from triton_common.repository import lay_out
from triton_common.server import Ports, command, read_admin_key
from triton_common.settings import ModelSettings, SettingsError
from triton_cpu.layout import (
    NotPossibleError,
    check_machine,
    find_libpython,
    find_wheel,
    lay_out_backends,
    server_environment,
)


def remove_stale_memory(prefix: str) -> None:
    """Remove the shared memory that a killed server on the same port has left.

    The port is free, so that server is dead.
    """
    for path in Path("/dev/shm").glob(f"{prefix}*"):  # noqa: S108  where Linux keeps it
        path.unlink(missing_ok=True)


def main() -> int:  # noqa: RET503  it ends by becoming another program
    parser = argparse.ArgumentParser(prog="python -m triton_cpu.serve", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path(".run/triton"), help="where to lay things out")
    parser.add_argument("--overlay", type=Path, help="models that take the place of ours")
    parser.add_argument("--no-vllm", action="store_true", help="gemma2 is not vLLM's: render no model.json")
    args = parser.parse_args()
    host = os.environ.get("TRITON_HOST") or "127.0.0.1"
    try:
        ports = Ports.from_env(os.environ)
        admin_key = read_admin_key(os.environ)
        GradingSettings.from_env(os.environ)
        engine_args = None if args.no_vllm else ModelSettings.from_env(os.environ).engine_args("cpu")
        wheel, libpython = find_wheel(), find_libpython()
        check_machine(ports.by_setting(), host=host)
    except (NotPossibleError, SettingsError) as error:
        print(f"triton: {error}", file=sys.stderr)
        return 2
    run_dir: Path = args.run_dir.resolve()
    repository = lay_out(run_dir / "model_repository", engine_args, overlay=args.overlay)
    backends = lay_out_backends(run_dir / "backends", wheel)
    environment = server_environment(os.environ, wheel, libpython)
    arguments = command(wheel.server, repository, backends, host, ports, admin_key=admin_key)
    # There is no GPU to ask, and Ctrl-C must not wait for long.
    arguments += ["--allow-gpu-metrics=false", "--exit-timeout-secs=3"]
    prefix = f"avalua-{ports.http}-"
    remove_stale_memory(prefix)
    arguments += [f"--backend-config={name},shm-region-prefix-name={prefix}" for name in ("python", "vllm")]
    os.execve(wheel.server, arguments, environment)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    sys.exit(main())
