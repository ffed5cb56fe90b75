"""What Locust reads: ``locust -f loadtest/locustfile.py`` by hand, ``python -m loadtest`` without its page.

The scenario is a setting, so that one shape serves all of them and the web page offers them by name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from grpc.experimental import gevent as grpc_gevent
from locust import LoadTestShape, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

# Locust puts this file's own folder on the path, not the one that the package lies in.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtest.recorder import LoadError
from loadtest.run import Run
from loadtest.settings import SettingsError, add_arguments, read_settings
from loadtest.users import BY_INTERFACE, GenerateUser, GradingUser, GrpcUser, SseUser
from loadtest.verdict import Verdict

__all__ = ["GenerateUser", "GrpcUser", "ScenarioShape", "SseUser"]

HOST = "http://localhost:8000"
MAX_STARTS_PER_S = 100
"""Of users; Locust warns against more."""

grpc_gevent.init_gevent()


def _add_arguments(parser: LocustArgumentParser, **_: Any) -> None:
    add_arguments(parser)  # not as a group: Locust's web page shows none


events.init_command_line_parser.add_listener(_add_arguments)


class ScenarioShape(LoadTestShape):  # type: ignore[misc]
    """All users of the chosen scenario at once, until they are done."""

    abstract = False

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None
        self._verdict: Verdict | None = None
        events.test_stop.add_listener(self._stopped)
        events.quitting.add_listener(self._quitting)
        events.quit.add_listener(self._quit)

    def tick(self) -> tuple[int, float, list[type[Any]]] | None:
        """Called every second; the first call of a run makes the run."""
        if self._run is None:
            try:
                self._run = self._make_run()
            except (LoadError, SettingsError) as error:
                say(f"loadtest: {error}")
                return None
        run = self._run
        rate = min(run.users, MAX_STARTS_PER_S)
        return None if run.over else (run.users, rate, [BY_INTERFACE[run.scenario.interface]])

    def _make_run(self) -> Run:
        assert self.runner is not None
        environment = self.runner.environment
        settings = read_settings(vars(environment.parsed_options))
        self._verdict = None
        fire = environment.events.request.fire
        GradingUser.current = Run(settings, (environment.host or HOST).rstrip("/"), fire, say)
        return GradingUser.current

    def _stopped(self, environment: Environment, **_: Any) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        run.close(crashes=len(environment.runner.exceptions))
        self._verdict = Verdict(run)
        self._verdict.write()
        if not environment.parsed_options.headless:
            say(str(self._verdict))

    def _quitting(self, environment: Environment, **_: Any) -> None:
        environment.process_exit_code = 0 if self._verdict is not None and self._verdict.kept else 1

    def _quit(self, **_: Any) -> None:
        if self._verdict is not None:
            say(str(self._verdict))  # behind Locust's own tables


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)
