"""The files of the database: gone or replaced while in use, closed to others, and rid of what was deleted."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.config import MAX_PATH_BYTES, Settings
from orchestrator.errors import StartError
from orchestrator.store import open_store
from orchestrator.store.database import Database
from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import OwnProcess, Start, launched

WAIT_S = 30.0


def delete(path: Path) -> None:
    path.unlink()


def delete_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def replace(path: Path) -> None:
    """By a copy, as a restore that renames does it."""
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    copy.replace(path)


def overwrite(path: Path) -> None:
    """With a database of another day, as a restore with `cp` does it."""
    other = path.with_name("other")
    shutil.copyfile(path, other)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA user_version = 7")
        connection.execute("PRAGMA journal_mode = DELETE")
    shutil.copyfile(other, path)


def empty(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate()


@pytest.mark.parametrize("harm", [delete, delete_log, replace, overwrite, empty])
async def test_a_file_that_is_not_there_any_more_is_noticed(
    own_process: OwnProcess, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """Unhealthy at once, and no 202 for what nobody would find again; it isn't made anew in silence."""
    await own_process.stream(await own_process.submit(make_items(15)))
    harm(tmp_path / "jobs.sqlite3")
    status, body, _ = await own_process.call("GET", "/health")
    assert (status, body["status"], body["storage"]) == (503, "unhealthy", "unavailable")
    assert (await own_process.call("GET", "/health/ready"))[0] == 503
    status, body, _ = await own_process.call("POST", "/evaluate", json={"items": make_items(1)})
    assert (status, body["code"]) == (503, "storage_unavailable")
    await own_process.logged("database_lost")
    assert (tmp_path / "jobs.sqlite3").exists() == (harm is not delete)
    assert await own_process.end() == 0


async def test_a_file_that_comes_back_is_used_again(own_process: OwnProcess, tmp_path: Path) -> None:
    """A running job waits meanwhile, and then every text has exactly one result."""
    path, away = tmp_path / "jobs.sqlite3", tmp_path / "away"
    job_id = await own_process.submit(make_items(10) + make_items(100, "[[delay_ms=1500]]")[10:])
    await own_process.stream(job_id, events=1)
    path.rename(away)
    await own_process.logged("store_unavailable")
    away.rename(path)
    heard = await own_process.stream(job_id)
    assert sorted(result["index"] for result in heard.results) == list(range(100))
    assert heard.final["failed_items"] == 0
    await own_process.logged("database_is_back")
    assert (await own_process.call("GET", "/health"))[0] == 200


async def test_a_log_without_its_database_stops_the_start(own_process: OwnProcess, tmp_path: Path) -> None:
    """SQLite would delete that log, with results that stand nowhere else: one line says what to do."""
    await own_process.stream(await own_process.submit(make_items(15)))
    await own_process.end(signal.SIGKILL)
    log = tmp_path / "jobs.sqlite3-wal"
    before = log.read_bytes()
    (tmp_path / "jobs.sqlite3").unlink()
    with pytest.raises(StartError, match=r"is gone, but its write-ahead log is there: put the database back"):
        await own_start(tmp_path)
    assert log.read_bytes() == before
    assert not (tmp_path / "jobs.sqlite3").exists()


async def own_start(folder: Path) -> None:
    async with open_store(Settings(database_url=f"sqlite:///{folder}/jobs.sqlite3")):
        pass


def found_in(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and text in path.read_bytes()]


async def test_what_was_deleted_is_gone_from_every_file(
    scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """A text is in no byte of any file soon after it was marked, nor is its mark after it expired."""
    settings = {"PURGE_INTERVAL_S": "0.2", "JOB_TTL_SECONDS": "2"}
    async with launched(tmp_path, scripted_triton, **settings) as service:
        items = make_items(40)
        for item in items:
            item["respuesta"] = f"Xiprer{item['id_alumno']} Secret-del-text [[delay_ms=500]]"
        job_id = await service.submit(items)
        await service.stream(job_id, events=1)
        assert found_in(tmp_path, b"Secret-del-text") != []
        await service.stream(job_id)
        assert found_in(tmp_path, b"XiprerA") != []
        deadline = time.monotonic() + WAIT_S
        while left := found_in(tmp_path, b"Secret-del-text") + found_in(tmp_path, b"XiprerA"):
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.1)  # nothing tells when the sweeper has been
        assert (await service.call("GET", f"/status/{job_id}"))[0] == 410


async def test_a_reader_of_the_log_is_waited_for(
    start: Start, scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """Somebody who reads keeps the log from being emptied: that is seen, and tried again."""
    async with start(scripted_triton, purge_interval_s=3600, job_ttl_seconds=3600) as client:
        await client.stream(await client.submit(make_items(20)))
        purge = client.service.store.purge
        with closing(sqlite3.connect(tmp_path / "jobs.sqlite3", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM jobs").fetchone()
            for _ in range(10):
                assert await purge.step(time.time() + 3601, 7200)
            blocked = purge.blocked
            assert blocked
            assert (tmp_path / "jobs.sqlite3-wal").stat().st_size > 0
            # Those who write are not kept waiting by that.
            await client.stream(await client.submit(make_items(20)))
        while await purge.step(time.time(), 3600):
            pass
        assert (tmp_path / "jobs.sqlite3-wal").stat().st_size == 0


async def test_files_are_their_owners_alone(own_process: OwnProcess, tmp_path: Path) -> None:
    """The database, its log, that one's index and the lock; also those that were open to others before."""
    await own_process.submit(make_items(1))
    closed = dict.fromkeys(
        ("jobs.sqlite3", "jobs.sqlite3-wal", "jobs.sqlite3-shm", "jobs.sqlite3.lock"), 0o600
    )
    assert modes(tmp_path) == closed
    await own_process.end(signal.SIGKILL)
    open_to_all(tmp_path)
    await own_process.launch()
    assert modes(tmp_path) == closed


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def open_to_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o644)


async def test_an_end_in_the_middle_of_emptying_the_log_is_orderly(tmp_path: Path) -> None:
    """A thread may still be at it when everything is closed."""
    for _ in range(20):
        database = Database(f"sqlite+aiosqlite:///{tmp_path}/jobs.sqlite3", 1.0)
        await database.open()
        await database.try_write()
        emptying = asyncio.create_task(database.checkpoint())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        emptying.cancel()
        await database.close()


@pytest.mark.parametrize("url", ["sqlite:////dev/null", "sqlite:////dev"])
def test_a_database_that_is_not_a_file_is_left_as_it_is(url: str) -> None:
    """Neither closed to others, as one's own files are, nor given a lock beside it."""
    path = Path(url.removeprefix("sqlite:///"))
    before = path.stat().st_mode
    with pytest.raises(StartError, match="is not a file"):
        asyncio.run(Database(Settings(database_url=url).database_url, 1.0).open())
    assert path.stat().st_mode == before
    assert not path.with_name(path.name + ".lock").exists()


def test_a_path_with_a_nul_is_refused() -> None:
    """No file has one in its name."""
    with pytest.raises(ValidationError, match="%00"):
        Settings(database_url="sqlite:////tmp/a%00b")


async def test_the_longest_path_is_taken_and_a_longer_one_refused(tmp_path: Path) -> None:
    """SQLite itself only says that it can't open it."""
    folder = tmp_path / ("a" * 200) / ("b" * 100)
    longest = folder / ("c" * (MAX_PATH_BYTES - len(os.fsencode(folder)) - 1))
    async with open_store(Settings(database_url=f"sqlite:///{longest}")):
        pass
    with pytest.raises(StartError, match="choose a shorter one"):
        async with open_store(Settings(database_url=f"sqlite:///{longest}d")):
            pass
