"""A database that is locked, full or damaged."""

import asyncio
import resource
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import StartError
from testkit.postgres import PostgresServer
from testkit.triton import ROOT, TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import OwnProcess, Start


async def test_a_locked_database_pauses_and_goes_on(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Another process holds the lock: POST is 503, health says so, the job waits, and then loses nothing."""
    async with start(scripted_triton, database_timeout_s=0.2) as client:
        job_id = await client.submit(make_items(10) + make_items(100, "[[delay_ms=2000]]")[10:])
        await client.stream(job_id, events=1)
        with closing(sqlite3.connect(tmp_path / "jobs.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(20):
                while client.service.committer.healthy:  # noqa: ASYNC110  nobody tells
                    await asyncio.sleep(0.02)
            status, body, headers = await client.call("POST", "/evaluate", json={"items": make_items(1)})
            assert (status, body["code"]) == (503, "storage_unavailable")
            assert "Retry-After" in headers
            status, body, _ = await client.call("GET", "/health")
            assert (status, body["storage"]) == (503, "unavailable")
            other.execute("ROLLBACK")
        heard = await client.stream(job_id)
        assert sorted(result["index"] for result in heard.results) == list(range(100))
        assert heard.final["failed_items"] == 0
        assert (await client.call("GET", "/health"))[0] == 200


async def test_a_full_disk_pauses_and_goes_on(own_process: OwnProcess, tmp_path: Path) -> None:
    """No byte more can be written: 503 and a pause; with room again the job is finished, every item once."""
    job_id = await own_process.submit(make_items(10) + make_items(150, "[[delay_ms=2000]]")[10:])
    await own_process.stream(job_id, events=1)
    pid = own_process.process.pid
    size = (tmp_path / "jobs.sqlite3-wal").stat().st_size
    _, no_limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, no_limit))
    await own_process.logged("store_unavailable")
    assert (await own_process.call("GET", "/health"))[1]["storage"] == "unavailable"
    status, body, _ = await own_process.call("POST", "/evaluate", json={"items": make_items(1)})
    assert (status, body["code"]) == (503, "storage_unavailable")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (no_limit, no_limit))
    heard = await own_process.stream(job_id)
    assert sorted(result["index"] for result in heard.results) == list(range(150))
    assert heard.final["failed_items"] == 0


async def test_a_job_that_could_not_be_stored_makes_the_service_unhealthy(
    own_process: OwnProcess,
) -> None:
    """Though nothing runs that would notice: /health says so until a write has succeeded again."""
    pid = own_process.process.pid
    _, no_limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, no_limit))
    assert (await own_process.call("POST", "/evaluate", json={"items": make_items(1)}))[0] == 503
    assert (await own_process.call("GET", "/health"))[1]["storage"] == "unavailable"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (no_limit, no_limit))
    await own_process.logged("store_back")
    assert (await own_process.call("GET", "/health"))[0] == 200
    await own_process.stream(await own_process.submit(make_items(1)))


async def test_a_postgresql_that_restarts_pauses_a_job_and_loses_nothing(
    start: Start, scripted_triton: TritonProcess, own_postgres: PostgresServer
) -> None:
    """Killed while items are in flight: the job waits, goes on by itself, and has each result once."""
    url = own_postgres.create_database()
    async with start(scripted_triton, database_url=url, database_timeout_s=1.0) as client:
        job_id = await client.submit(make_items(10) + make_items(100, "[[delay_ms=1000]]")[10:])
        await client.stream(job_id, events=1)
        own_postgres.kill()
        async with asyncio.timeout(20):
            while client.service.committer.healthy:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.02)
        status, body, headers = await client.call("POST", "/evaluate", json={"items": make_items(1)})
        assert (status, body["code"]) == (503, "storage_unavailable")
        assert "Retry-After" in headers
        own_postgres.start()
        heard = await client.stream(job_id)
        assert sorted(result["index"] for result in heard.results) == list(range(100))
        assert heard.final["failed_items"] == 0


@pytest.mark.parametrize("damage", ["header", "middle"])
async def test_a_damaged_database_stops_the_start(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path, damage: str
) -> None:
    """The start ends with one line that names the file."""
    path = tmp_path / "jobs.sqlite3"
    async with start(scripted_triton) as client:
        await client.stream(await client.submit(make_items(200)))
    content = bytearray(path.read_bytes())
    place = 0 if damage == "header" else len(content) // 2
    content[place : place + 3000] = b"\xa5" * 3000
    path.write_bytes(content)
    with pytest.raises(StartError, match=r"jobs\.sqlite3") as caught:
        async with start():
            pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        ("BATCH_SIZE", "0", 2),
        ("PORT", "eight", 2),
        ("DATABASE_URL", "mysql://x/y", 2),
        ("DATABASE_URL", "postgresql://db/avalua?sslmode=always", 2),
        ("DATABASE_URL", "postgresql://db:port/avalua", 2),
        ("DATABASE_URL", "postgresql://db/avalua", 1),
        ("DATABASE_URL", "sqlite:///nowhere.sqlite3?unknown=1", 2),
        ("TRITON_GRPC_URL", "http://triton:8001", 2),
        ("DATABASE_URL", "sqlite:////proc/nowhere/jobs.sqlite3", 1),
    ],
)
async def test_a_start_that_cannot_be_is_one_line_on_stderr(
    tmp_path: Path, variable: str, value: str, status: int
) -> None:
    """Bad settings exit with 2, a database that can't be opened with 1."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "orchestrator",
        env={variable: value, "PATH": "/usr/bin", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert process.returncode == status
    assert out == b""
    assert err.count(b"\n") == 1
    assert (variable.encode() in err) if status == 2 else (b"nowhere" in err or b"db/avalua" in err)
