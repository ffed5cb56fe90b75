"""What can be told from outside before anything is started: else it would come out once Triton is ready."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from pathlib import Path

from local_stack.plan import Plan, PlanError
from orchestrator.config import SettingsError, load_settings
from triton_cpu.layout import MIN_MEMORY_BYTES, available_memory_bytes

# A name on the Hugging Face hub: https://huggingface.co/docs/huggingface_hub (`validate_repo_id`).
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[\w.-]{1,96})?", re.ASCII)
GGUF = ".gguf"
GIB = 2**30
MODEL_FILES = (".json", GGUF)
"""A folder with none of these, not even a config.json, is no model's."""


async def check(plan: Plan) -> None:
    """Raise PlanError where the stack can't start like this."""
    check_model(plan.model)
    try:
        load_settings(plan.environment)
    except SettingsError as error:
        raise PlanError(f"{error}.") from None
    triton_host = plan.environment.get("TRITON_HOST") or "127.0.0.1"
    check_memory(len(plan.tritons), available_memory_bytes())
    await _check_address("HOST", plan.host, "PORT", plan.port)
    for triton in plan.tritons:
        for name, port in triton.ports.by_setting().items():
            await _check_address("TRITON_HOST", triton_host, name, port, triton.name)


def check_memory(tritons: int, available_bytes: int) -> None:
    """Raise PlanError where so many servers don't fit.

    One alone says so itself; several that start at once all see the memory that only some of them can have.
    """
    needed = tritons * MIN_MEMORY_BYTES
    if tritons > 1 and available_bytes < needed:
        raise PlanError(
            f"TRITONS={tritons} needs {needed / GIB:.0f} GiB of free memory, and there are "
            f"{available_bytes / GIB:.1f} GiB: set a lower number."
        )


def check_model(model: str) -> None:
    """Raise PlanError where ``model`` is neither there nor could be a name on the hub."""
    path = Path(model)
    try:
        if path.is_dir():
            found = any(one.suffix in MODEL_FILES for one in path.iterdir())
        else:
            found = HUB_NAME.fullmatch(model) is not None or (path.suffix == GGUF and path.is_file())
    except OSError as error:
        raise PlanError(
            f"MODEL_NAME={model} can't be read ({error.strerror}): give the folder of a model."
        ) from None
    if not found:
        raise PlanError(
            f"MODEL_NAME={model}: no model is there. Give the folder of one, or a name on the Hugging Face "
            "hub such as organisation/model."
        )


async def _check_address(host_name: str, host: str, port_name: str, port: int, triton: str = "") -> None:
    """Raise PlanError unless ``host`` and ``port`` can be listened on, as the servers will."""
    whose = f" of {triton}" if triton not in ("", "Triton") else ""
    try:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    except socket.gaierror as error:
        raise PlanError(
            f"{host_name}={host} is no address of this machine ({error.strerror}): set another one."
        ) from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise PlanError(
            f"{port_name}={port}{whose} can't be used on {host} ({why}): "
            f"set {port_name} to a free port, or {host_name} to another address."
        ) from None
    server.close()
    await server.wait_closed()
