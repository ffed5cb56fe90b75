"""The stack that a load test starts for itself: as ``make run`` does, on free ports and with no old jobs."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from local_stack.plan import DEMO_MODEL, ROOT, Plan, make_plan
from local_stack.stack import Stack
from local_stack.temporary import private_settings
from orchestrator.config import Settings
from testkit.triton import SCRIPTED_MODEL

SCRIPTED_DELAY_MS = 1000
"""So that what is loaded is the service, not this machine: an instant model leaves it no processor time."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes, and what is known of it: as options of Locust."""

    options: tuple[str, ...]


@asynccontextmanager
async def own_stack(model: str, run_dir: Path, say: Callable[[str], None]) -> AsyncIterator[Target]:
    """Triton with ``model`` and the orchestrator, ended afterwards. Raises StackError, also when one died."""
    with tempfile.TemporaryDirectory(prefix="avalua-load-") as jobs:
        plan = plan_for(model, run_dir, Path(jobs))
        async with Stack(plan, say) as stack:
            watching = asyncio.create_task(stack.watch())
            try:
                yield Target(_options(plan, stack.orchestrator.pid, model))
            finally:
                watching.cancel()
                (ended,) = await asyncio.gather(watching, return_exceptions=True)
            if isinstance(ended, BaseExceptionGroup):
                raise ended.exceptions[0]


def plan_for(model: str, run_dir: Path, jobs: Path) -> Plan:
    """What to start. ``model``: scripted, demo, a folder, or a name on the hub."""
    from_file = {key: value for key, value in dotenv_values(ROOT / ".env").items() if value is not None}
    own = {
        **private_settings(run_dir),
        "DATABASE_URL": f"sqlite:///{jobs / 'jobs.sqlite3'}",
        "MODEL_NAME": str(DEMO_MODEL) if model in ("scripted", "demo") else model,
    }
    return make_plan(from_file | dict(os.environ) | own, SCRIPTED_MODEL if model == "scripted" else ())


def _options(plan: Plan, pid: int, model: str) -> tuple[str, ...]:
    room = sum(
        int(plan.environment.get(name.upper()) or Settings.model_fields[name].default)
        for name in ("max_concurrent_jobs", "max_queued_jobs")
    )
    options = {
        "--host": plan.orchestrator_url,
        "--grpc-url": plan.tritons[0].grpc_url,
        "--generate-url": plan.tritons[0].http_url,
        "--orchestrator-pid": pid,
        "--room": room,
        "--delay-ms": SCRIPTED_DELAY_MS if model == "scripted" else 0,
    }
    return tuple(str(part) for option in options.items() for part in option)
