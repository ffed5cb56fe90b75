"""``python -m triton_cpu.serve``: lay everything out, then become Triton.

The process turns into ``tritonserver`` itself (exec), so signals, exit status and process id are the
server's own. Settings come from the environment: the model's (``triton_common.settings``), the CPU's
(``triton_cpu.settings``), TRITON_HOST, TRITON_GRPC_PORT, TRITON_HTTP_PORT and TRITON_METRICS_PORT.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triton_common.folder import InUseError, claim
from triton_common.grading_settings import GradingSettings
from triton_common.repository import lay_out
from triton_common.server import Ports, command, read_admin_key
from triton_common.settings import ModelSettings, SettingsError
from triton_cpu.layout import (
    NotPossibleError,
    Wheel,
    check_machine,
    find_libpython,
    find_wheel,
    lay_out_backends,
    server_environment,
)
from triton_cpu.plain import NoPlainPathError, plain, plain_environment
from triton_cpu.settings import CpuSettings

CLAIM_WAIT_S = 5.0
"""For what a killed server's model processes take to end: they hold its folder, too."""
PATHS = ("model", "tokenizer", "hf_config_path", "download_dir")
"""vLLM's arguments that may name folders of this machine."""


def remove_stale_memory(prefix: str) -> None:
    """Remove the shared memory that a killed server on the same port has left.

    The port is free, so that server is dead.
    """
    for path in Path("/dev/shm").glob(f"{prefix}*"):  # noqa: S108  where Linux keeps it
        path.unlink(missing_ok=True)


def with_plain_paths(engine_args: Mapping[str, Any]) -> dict[str, Any]:
    """The same engine arguments, whose folders have plain names."""
    given = {key: engine_args[key] for key in PATHS if isinstance(engine_args.get(key), str)}
    folders = {key: str(plain(Path(value))) for key, value in given.items() if value and Path(value).is_dir()}
    return {**engine_args, **folders}


def stopped_by(problem: str) -> int:
    """Say so, if there is room on the disk for that; the exit status."""
    with contextlib.suppress(OSError):
        os.write(2, f"triton: {problem}\n".encode(errors="backslashreplace"))
    return 2


def main() -> int:  # noqa: RET503  it ends by becoming another program
    parser = argparse.ArgumentParser(prog="python -m triton_cpu.serve", description=__doc__)
    parser.add_argument("--run-dir", type=Path, default=Path(".run/triton"), help="where to lay things out")
    parser.add_argument("--overlay", type=Path, help="models that take the place of ours")
    parser.add_argument("--no-vllm", action="store_true", help="gemma2 is not vLLM's: render no model.json")
    args = parser.parse_args()
    host = os.environ.get("TRITON_HOST") or "127.0.0.1"
    os.umask(0o077)  # notes about students' texts lie in the repository
    run_dir: Path = args.run_dir.resolve()
    try:
        ports = Ports.from_env(os.environ)
        admin_key = read_admin_key(os.environ)
        GradingSettings.from_env(os.environ)
        replacements = CpuSettings.from_env(os.environ).replacements
        engine_args = None
        if not args.no_vllm:
            engine_args = with_plain_paths(ModelSettings.from_env(os.environ).engine_args("cpu"))
        wheel, libpython = find_wheel(), find_libpython()
        check_machine(ports.by_setting(), host=host)
        # The server inherits it: the folder is taken for as long as that lives.
        os.set_inheritable(claim(run_dir, CLAIM_WAIT_S), True)
        lay_out(run_dir / "model_repository", engine_args, overlay=args.overlay)
        lay_out_backends(run_dir / "backends", wheel)
        wheel, served = Wheel(plain(wheel.site)), plain(run_dir)
        environment = plain_environment(server_environment(os.environ, wheel, plain(libpython)))
        environment["CPU_REPLACEMENTS"] = ",".join(replacements)
    except (NotPossibleError, SettingsError, InUseError, NoPlainPathError) as error:
        return stopped_by(str(error))
    except shutil.Error as error:  # of several files
        return stopped_by(f"{run_dir} can't be written: {error.args[0][0][2]}.")
    except OSError as error:
        return stopped_by(f"{error.filename or run_dir} can't be written: {error.strerror}.")
    repository, backends = served / "model_repository", served / "backends"
    arguments = command(wheel.server, repository, backends, host, ports, admin_key=admin_key)
    # There is no GPU to ask, and Ctrl-C must not wait for long.
    arguments += ["--allow-gpu-metrics=false", "--exit-timeout-secs=3"]
    prefix = f"avalua-{ports.http}-"
    remove_stale_memory(prefix)
    arguments += [f"--backend-config={name},shm-region-prefix-name={prefix}" for name in ("python", "vllm")]
    os.execve(wheel.server, arguments, environment)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    sys.exit(main())
