"""One run of one scenario: what its users do, and when it is over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol

import gevent
import orjson
from gevent.pool import Group

from loadtest.direct import GenerateClient, GrpcClient
from loadtest.memory import Memory
from loadtest.recorder import JOB, LATE, Fire, Recorder
from loadtest.scenarios import SCENARIOS, Interface, Pattern
from loadtest.service import Accepted, Refused, ServiceClient
from loadtest.settings import Settings
from loadtest.texts import Item, Texts

MAX_BACKOFF_S = 10.0
AFTER_FAILURE_S = 1.0
PROGRESS_S = 5.0


class Grader(Protocol):
    """Something that grades items, and reports what that took."""

    def connect(self) -> None: ...
    def grade(self, items: list[Item], due: float | None = None) -> None: ...


class Run:
    """Made when a run begins. Each user calls ``work`` once."""

    def __init__(self, settings: Settings, host: str, fire: Fire, say: Callable[[str], None]) -> None:
        """Raises LoadError unless what is to be loaded answers."""
        self.settings = settings
        self.scenario = SCENARIOS[settings.scenario]
        self.recorder = Recorder(fire)
        self._say = say
        self._service = ServiceClient(host, self.recorder, overloads=self.scenario.overloads)
        self._client = self._make_client()
        self._client.connect()
        self._texts = Texts(self._expected_items(), settings.delay_ms, settings.seed)
        self._rng = random.Random(settings.seed)  # noqa: S311
        self._finished = 0
        self._began = time.monotonic()
        self.memory = Memory(settings.orchestrator_pid) if settings.orchestrator_pid else None
        self._beside = Group()
        if self.memory is not None:
            # Afterwards there is less load, so that memory would look better than it is.
            self._beside.spawn(gevent.with_timeout, self._span_s, self.memory.watch, timeout_value=None)
        self._beside.spawn(self._report)

    @property
    def users(self) -> int:
        """How many work at once."""
        match self.scenario.pattern:
            case Pattern.CLASSES:
                return self.settings.classes
            case Pattern.OVERLOAD:
                return round(self.settings.over * self.settings.room)
            case _:
                return 1

    @property
    def over(self) -> bool:
        """Whether all users are done, or time is up."""
        return self._finished >= self.users or self._now > self._span_s + self.settings.deadline_s

    def close(self, crashes: int) -> None:
        """Stop watching. What did not end has failed, and so have ``crashes`` users that broke off."""
        self._beside.kill()
        if self._finished < self.users:
            self.recorder.failed(JOB, f"{self.users - self._finished} users were not done in time", self._now)
        for _ in range(crashes):
            self.recorder.failed(JOB, "a user broke off: Locust's table of exceptions says why")

    def work(self) -> None:
        """One user's part."""
        match self.scenario.pattern:
            case Pattern.BATCH:
                self._client.grade(self._texts.take(self.settings.items))
            case Pattern.CLASSES:
                self._client.grade(self._school_class())
            case Pattern.STEADY:
                self._arrive()
            case Pattern.OVERLOAD:
                self._insist()
        self._finished += 1

    def _arrive(self) -> None:
        """Let classes arrive at random moments that are fixed beforehand (a Poisson process).

        A class that can't be sent in time counts from when it was due: else a service that keeps its clients
        waiting would be asked less, and look better (coordinated omission).
        """
        arrived = Group()
        per_s = self.settings.classes_per_minute / 60
        due = time.monotonic()
        try:
            for gap_s in self._gaps(per_s):
                due += gap_s
                gevent.sleep(max(0.0, due - time.monotonic()))
                self.recorder.took(LATE, time.monotonic() - due)
                arrived.spawn(self._client.grade, self._school_class(), due)
            arrived.join(raise_error=True)
        finally:
            arrived.kill()

    def _gaps(self, per_s: float) -> list[float]:
        gaps, left = [0.0], self.settings.seconds
        while (gap := self._rng.expovariate(per_s)) < left:
            gaps.append(gap)
            left -= gap
        return gaps

    def _insist(self) -> None:
        """Hand in a class until it is taken, as a polite client does, and then the next one."""
        refusals = 0
        items = self._school_class()
        body = orjson.dumps({"items": items})
        while (left_s := self._span_s - self._now) > 0:
            match self._service.submit(body):
                case Accepted() as job:
                    self._service.follow(job, items)
                    refusals = 0
                    continue
                case Refused(retry_after_s):
                    refusals += 1
                    pause_s = retry_after_s + self._rng.uniform(0, min(MAX_BACKOFF_S, 2**refusals))
                case None:
                    pause_s = AFTER_FAILURE_S
            gevent.sleep(min(pause_s, left_s))

    def _school_class(self) -> list[Item]:
        return self._texts.school_class(self.settings.class_min, self.settings.class_max)

    @property
    def _span_s(self) -> float:
        """How long new work arrives."""
        return self.settings.overload_seconds if self.scenario.overloads else self.settings.seconds

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _expected_items(self) -> int:
        settings = self.settings
        match self.scenario.pattern:
            case Pattern.BATCH:
                return settings.items
            case Pattern.CLASSES:
                return settings.classes * settings.class_max
            case Pattern.STEADY:
                return round(settings.class_max * (1 + settings.seconds * settings.classes_per_minute / 60))
            case Pattern.OVERLOAD:
                return self.users * settings.class_max

    def _make_client(self) -> Grader:
        settings, recorder = self.settings, self.recorder
        match self.scenario.interface:
            case Interface.GRPC:
                return GrpcClient(settings.grpc_url, recorder, settings.in_flight)
            case Interface.GENERATE:
                return GenerateClient(settings.generate_url, recorder, settings.in_flight)
            case Interface.SSE:
                return self._service

    def _report(self) -> None:
        while True:
            gevent.sleep(PROGRESS_S)
            self._say(f"  {self._now:4.0f} s: {self.recorder.summary}")
