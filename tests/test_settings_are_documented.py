"""Every setting stands in .env.example with its real default, and nothing else does."""

from __future__ import annotations

import json
import re
from typing import Any

from orchestrator.config import Settings
from testkit.triton import ROOT
from triton_common.grading_settings import GradingSettings
from triton_common.settings import ModelSettings
from triton_common.supervision import SupervisionSettings
from triton_cpu.settings import CpuSettings

CLASSES: list[Any] = [ModelSettings, CpuSettings, GradingSettings, SupervisionSettings, Settings]
# Read by `make run` or docker-compose.yml alone, and defaults that depend on other settings.
ELSEWHERE = {
    "TRITON_HOST": "127.0.0.1",
    "TRITON_GRPC_PORT": "8001",
    "TRITON_METRICS_PORT": "8002",
    "TRITON_HTTP_PORT": "8003",
    "TRITONS": "1",
    "TRITON_ADMIN_KEY": "",
    "HF_TOKEN": "",
    "PUBLISH_ADDRESS": "127.0.0.1",
    "GPU_COUNT": "1",
    "TRITON_MEMORY_LIMIT": "32g",
    "ORCHESTRATOR_MEMORY_LIMIT": "2g",
    "PROMETHEUS_PORT": "9090",
    "GRAFANA_PORT": "3000",
    "POSTGRES_PASSWORD": "",
    "RUN_DIR": ".run",
    "MAX_IN_FLIGHT": "160",
    "MAX_CHARS_IN_FLIGHT": "160000",
    "ROLES": "api,worker",
}
LINE = re.compile(r"^# ([A-Z][A-Z0-9_]+)=(.*)$")


def documented() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return {match[1]: match[2] for line in lines if (match := LINE.match(line))}


def as_text(default: Any) -> str:
    """A default as one would write it in the file."""
    if default in (None, (), ""):
        return ""
    if isinstance(default, bool | dict):
        return json.dumps(default)
    return str(default)


def test_every_setting_is_there_with_its_default() -> None:
    """The file names each setting that anything reads, with the default that it really has."""
    real = dict(ELSEWHERE)
    for settings in CLASSES:
        for name, field in settings.model_fields.items():
            real.setdefault(name.upper(), as_text(field.get_default(call_default_factory=False)))
    real["EXTRA_ENGINE_ARGS"] = "{}"
    assert documented() == real


def test_copied_as_it_is_the_file_sets_nothing() -> None:
    """All its lines are comments: a copy changes nothing until one is uncommented."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
