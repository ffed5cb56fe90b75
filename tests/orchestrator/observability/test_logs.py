"""A log that can't be written costs lines, and nothing else."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from local_stack.ports import free_ports
from orchestrator.observability.log_writer import LineWriter
from testkit.triton import ROOT, TritonProcess
from tests.orchestrator.client import WAIT_S, Client, make_items

SMALL_PIPE = 4096
JOBS = 30  # two lines each: more than a small pipe holds


@asynccontextmanager
async def service(
    triton: TritonProcess, folder: Path, stdout: int, arguments: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Client, asyncio.subprocess.Process]]:
    """An orchestrator whose log goes there; in the end it stops when asked to."""
    port = free_ports(1)[0]
    command = ("exec", sys.executable, "-m", "orchestrator", *arguments)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        " ".join(command),
        cwd=ROOT,
        env={
            **os.environ,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATABASE_URL": f"sqlite:///{folder}/jobs.sqlite3",
            "TRITON_GRPC_URL": triton.grpc_url,
            "TRITON_METRICS_URL": triton.metrics_url,
        },
        stdout=stdout,
        stderr=stdout,
    )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WAIT_S)) as session:
            client = Client(f"http://127.0.0.1:{port}", session)
            await until_ready(client)
            yield client, process
        process.terminate()
        async with asyncio.timeout(WAIT_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_ready(client: Client) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                if (await client.call("GET", "/health/ready"))[0] == 200:
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)  # it has no other way to say that it listens


async def check_jobs_run(client: Client) -> None:
    """More jobs than a small pipe has room for are taken, finished and counted as healthy."""
    for _ in range(JOBS):
        heard = await client.stream(await client.submit(make_items(1)))
        assert heard.final["failed_items"] == 0
    assert (await client.call("GET", "/health"))[0] == 200


async def test_a_log_whose_reader_is_gone(scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """A POST is still answered 202, and its job runs."""
    reader, writer = os.pipe()
    async with service(scripted_triton, tmp_path, writer) as (client, _):
        os.close(writer)
        os.close(reader)
        await check_jobs_run(client)


async def test_a_log_whose_reader_stands_still(scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """The pipe is full and nobody reads it: everything goes on, the end included."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    async with service(scripted_triton, tmp_path, writer) as (client, _):
        os.close(writer)
        await check_jobs_run(client)
    os.close(reader)


async def test_a_log_on_a_full_disk(scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """Not one line can be written: everything goes on."""
    full = os.open("/dev/full", os.O_WRONLY)
    async with service(scripted_triton, tmp_path, full) as (client, _):
        os.close(full)
        await check_jobs_run(client)


async def test_no_standard_streams_at_all(scripted_triton: TritonProcess, tmp_path: Path) -> None:
    """With the descriptors closed, no file of ours gets their numbers, and so the log's lines."""
    arguments = ("<&-", ">&-", "2>&-")
    async with service(scripted_triton, tmp_path, asyncio.subprocess.DEVNULL, arguments) as (client, process):
        await check_jobs_run(client)
        opened = {n: (Path("/proc") / str(process.pid) / "fd" / n).readlink() for n in ("0", "1", "2")}
        assert set(map(str, opened.values())) == {"/dev/null"}


def test_lines_are_dropped_whole_and_counted() -> None:
    """Where the reader stood still, the log says how many lines are missing, and no line is a part of one."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, SMALL_PIPE)
    lines = LineWriter(writer, 10, lambda count: f'{{"dropped": {count}}}\n')
    for number in range(1000):  # the first one is longer than the pipe
        lines.write(json.dumps({"number": number, "filler": "x" * (80 if number else 2 * SMALL_PIPE)}) + "\n")
    assert not lines.drain(0.01)
    with ThreadPoolExecutor(1) as threads, os.fdopen(reader) as log:
        reading = threads.submit(log.read)
        assert lines.drain(10)
        lines.write('{"last": true}\n')
        assert lines.drain(10)
        os.close(writer)
        told = [json.loads(line) for line in reading.result(10).splitlines()]
    numbers = [line["number"] for line in told if "number" in line]
    assert sum(line.get("dropped", 0) for line in told) == 1000 - len(numbers)
    assert numbers == sorted(numbers)
    assert told[-1] == {"last": True}


def test_a_line_that_was_cut_stands_alone(tmp_path: Path) -> None:
    """After a disk was full in the middle of a line, the next one begins on a line of its own."""
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    lines = LineWriter(descriptor, 100, lambda count: f"dropped {count}\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15, hard))
    try:
        lines.write("0123456789\n0123456789\n")
        assert lines.drain(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    lines.write("whole\n")
    assert lines.drain(10)
    assert path.read_text("utf-8") == "0123456789\n0123\ndropped 1\nwhole\n"
    os.close(descriptor)
