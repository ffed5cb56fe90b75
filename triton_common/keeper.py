"""One Triton as a child process: watched, told of signals, and never outlived by us.

For a container, whose restart policy acts when its first process ends: a server that died or no longer
grades has to end it with a status other than 0.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from triton_common.probe import NotGradingError, Probe
from triton_common.supervision import Pulse, SupervisionSettings

READY_POLL_S = 1.0
STOP_TIMEOUT_S = 35.0
"""For a server that was asked to end: it gives itself 30 s for what is in flight."""
BROKEN_STOP_TIMEOUT_S = 5.0
BROKEN = 1


class Keeper:
    """Runs one server to its end."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        probe: Probe,
        settings: SupervisionSettings,
    ) -> None:
        self._command, self._environment = list(command), dict(environment)
        self._probe = probe
        self._pulse = Pulse(probe, settings)
        self._start_timeout_s = settings.triton_start_timeout_s
        self._process: subprocess.Popen[bytes]
        self._stop_by: float | None = None

    def run(self) -> int:
        """Start the server and return our exit status once it has ended: 0 only if we were asked to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # A group of its own: a signal from a terminal reaches us alone, and is passed on once.
        self._process = subprocess.Popen(
            self._command, env=self._environment, start_new_session=True, restore_signals=False
        )
        try:
            if self._stop_by is not None:  # before there was anybody to tell
                self._process.terminate()
            return self._watch()
        except NotGradingError as error:
            say(f"Triton does not grade and is ended: {error}")
            return BROKEN
        finally:
            self._end(BROKEN_STOP_TIMEOUT_S)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_by = self._stop_by or time.monotonic() + STOP_TIMEOUT_S
        if hasattr(self, "_process") and self._process.returncode is None:
            self._process.terminate()

    def _watch(self) -> int:
        """The exit status. Raises NotGradingError, also where the server does not get ready in time."""
        pause_s, was_ready = min(READY_POLL_S, self._start_timeout_s), False
        ready_by = time.monotonic() + self._start_timeout_s
        while True:
            left_s = self._stop_by - time.monotonic() if self._stop_by is not None else pause_s
            try:
                return self._exit_status(self._process.wait(max(0.0, left_s)))
            except subprocess.TimeoutExpired:
                if self._stop_by is not None:
                    if time.monotonic() < self._stop_by:
                        continue
                    say("Triton did not end in time and is killed.")
                    return BROKEN
            if was_ready:
                pause_s = self._check()
            elif self._probe.ready():
                say("Triton is ready.")
                pause_s, was_ready = self._pulse.interval_s, True
            elif time.monotonic() >= ready_by:
                raise NotGradingError(f"it is not ready {self._start_timeout_s:g} s after its start")

    def _check(self) -> float:
        """Seconds until the next check; a server that was asked to end meanwhile may fail it."""
        try:
            return self._pulse.check()
        except NotGradingError:
            if self._stop_by is not None or self._process.poll() is not None:
                return 0.0
            raise

    def _exit_status(self, status: int) -> int:
        if self._stop_by is not None and status == 0:
            return 0
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        say(f"Triton {how}.")
        return 128 - status if status < 0 else status or BROKEN

    def _end(self, timeout_s: float) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        # Its model processes, too: they are in its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def say(text: str) -> None:
    """A line for the log. One that nobody can take decides nothing."""
    with contextlib.suppress(OSError, ValueError):
        print(f"triton: {text}", file=sys.stderr, flush=True)
