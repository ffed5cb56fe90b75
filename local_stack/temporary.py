"""A stack for one purpose: on free ports, in a folder of its own, gone with the block."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from local_stack.plan import Plan, make_plan
from local_stack.ports import free_ports
from local_stack.stack import Stack

PORTS = ("PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT", "TRITON_HTTP_PORT")


def private_settings(run_dir: Path) -> dict[str, str]:
    """One Triton, free ports, and nothing shared with another stack, whatever the environment says."""
    ports = {name: str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    found_by_itself = dict.fromkeys(("TRITONS", "TRITON_GRPC_URL", "TRITON_METRICS_URL", "DATABASE_URL"), "")
    return {**ports, **found_by_itself, "HOST": "127.0.0.1", "RUN_DIR": str(run_dir)}


@asynccontextmanager
async def temporary_stack(say: Callable[[str], None], **settings: str) -> AsyncIterator[Plan]:
    """A running stack, with these settings over the environment's. Raises StackError if it does not start."""
    with tempfile.TemporaryDirectory(prefix="avalua-") as folder:
        plan = make_plan({**os.environ, **private_settings(Path(folder)), **settings})
        async with Stack(plan, say):
            yield plan
