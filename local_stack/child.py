"""A child process with its log: started in a group of its own, and ended for sure."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from local_stack.errors import StackError

TAIL_LINES = 25
MIN_FREE_BYTES = 1 << 20
PR_SET_PDEATHSIG = 1
CRASHES = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS)


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however that happens (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One process that the stack consists of."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._command, self._environment = list(command), dict(environment)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it. Raises StackError where its log can't be written."""
        try:
            log = self._open_log()
        except OSError as error:
            raise StackError(f"{self.name}: its log {self.log} can't be written: {error.strerror}.") from None
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches us alone, and we end the children in order.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        finally:
            os.close(log)

    def _open_log(self) -> int:
        """A new log, for the owner alone."""
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.log.exists():  # why the last one ended may stand in it
            self.log.chmod(0o600)
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        # Appended to, so that emptying a log that has grown too long gives its room back.
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def crashed(self) -> bool:
        """Whether a fault of its own ended it, and not a decision or somebody else."""
        return self._process is not None and self._process.returncode in CRASHES

    async def wait(self) -> int:
        """The exit status, once it has ended; negative for a signal."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end; after ``timeout_s`` end it and whatever it started."""
        if self._process is None:
            return
        if self.running:
            self._process.terminate()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._process.wait()
            except TimeoutError:
                pass
        await self.kill()

    async def kill(self) -> None:
        """End it and whatever it started, at once."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def exit_description(self) -> str:
        """How it ended, in a few words; only for one that has."""
        assert self._process is not None
        status = self._process.returncode
        assert status is not None
        return (
            f"{self.name} was ended by signal {-status}"
            if status < 0
            else f"{self.name} ended with status {status}"
        )

    def log_tail(self) -> str:
        """A sentence that says where its log is, and its end."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            return f"Its log ({self.log}) can't be read: {error.strerror}."
        if not lines and shutil.disk_usage(self.log.parent).free < MIN_FREE_BYTES:
            return f"No room is left on the disk of {self.log.parent}: make some."
        tail = "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])
        return f"The end of its log ({self.log}):\n{tail}"
