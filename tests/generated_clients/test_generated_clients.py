"""Clients that generators make from /openapi.json mark a class on the real service."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from orchestrator.api.exports.formats import XLSX
from orchestrator.api.table_options import CSV
from testkit.triton import TritonProcess
from tests.orchestrator.client import WAIT_S
from tests.orchestrator.conftest import Running, Start, settings_for, start
from tests.tools import NODE_MODULES

__all__ = ["settings_for", "start"]

HERE = Path(__file__).parent
TOOLS = Path(sys.executable).parent
OVERRIDES = {
    # What the generator does not know by itself: these are bytes, and these are texts.
    "content_type_overrides": {
        CSV: "application/octet-stream",
        XLSX: "application/octet-stream",
        "text/event-stream": "text/plain",
        "application/x-ndjson": "text/plain",
    }
}
PROGRAM = """
import sys
from made.client import Client
from made.api.jobs import evaluate, get_results, get_status
from made.models import ErrorCode, EvaluateRequest, JobStatus, ResultStatus
from made.models import Error, ItemIn

client = Client(base_url=sys.argv[1])
item = {"curso": "3r ESO", "consigna": "Explica la pluja.", "respuesta": "Plou."}
body = EvaluateRequest(items=[ItemIn(id_alumno=f"A{n}", **item) for n in range(3)])
job = evaluate.sync(client=client, body=body)
while True:
    state = get_status.sync(job.job_id, client=client)
    if state.status is JobStatus.COMPLETED:
        break
found = get_results.sync(job.job_id, client=client)
assert [one.status for one in found.results] == [ResultStatus.OK] * 3
assert found.provenances is not None
missing = get_status.sync("0f8fad5b-d9cb-469f-a165-70867728950e", client=client)
assert isinstance(missing, Error), missing
assert missing.code is ErrorCode.JOB_NOT_FOUND, missing
print([one.nota for one in found.results], found.results[0].feedback, state.progress.completed)
"""


async def run(*command: str | Path, cwd: Path) -> str:
    """What it prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env={**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(WAIT_S):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def describe(client: Running, folder: Path) -> Path:
    """The service's own description, as a file."""
    path = folder / "openapi.json"
    path.write_text(json.dumps((await client.call("GET", "/openapi.json"))[1]))
    return path


async def test_a_python_client(start: Start, scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """openapi-python-client: enumerations are enumerations, and refusals are told from answers."""
    async with start(scripted_triton) as client:
        path = await describe(client, tmp_path)
        (tmp_path / "config.json").write_text(json.dumps(OVERRIDES))
        options = ["--output-path", "made", "--meta", "none", "--config", "config.json"]
        made = await run(TOOLS / "openapi-python-client", "generate", "--path", path, *options, cwd=tmp_path)
        assert "warning" not in made.lower(), made
        (tmp_path / "mark.py").write_text(PROGRAM)
        said = await run(sys.executable, "mark.py", client.base, cwd=tmp_path)
    assert said.strip() == "[3, 3, 3] Resposta: Plou. 3"


async def test_a_typescript_client(start: Start, scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """openapi-typescript: the program is sound to the compiler, and marks a class."""
    node = shutil.which("node")
    if node is None or not NODE_MODULES.is_dir():
        pytest.skip("needs Node.js and npm: apt install nodejs npm, then make tools")
    for name in ("mark.ts", "tsconfig.json", "package.json"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    tools = NODE_MODULES / ".bin"
    async with start(scripted_triton) as client:
        path = await describe(client, tmp_path)
        await run(tools / "openapi-typescript", path, "-o", "schema.d.ts", cwd=tmp_path)
        await run(tools / "tsc", "-p", ".", cwd=tmp_path)
        said = await run(node, "mark.js", client.base, cwd=tmp_path)
    assert said.splitlines() == [
        "1: 3 3 3",
        "completed 3",
        "Resposta: Plou. | Resposta: Plou. | Resposta: Plou.",
        "job_not_found",
    ]
