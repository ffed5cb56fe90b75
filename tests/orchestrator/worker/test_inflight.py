"""What an answer or its absence means for an item; the servers are told of, and not asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.config import Settings
from orchestrator.jobs import Item, Job, Priority, Status
from orchestrator.jobs.batching import Batcher
from orchestrator.observability.metrics import Metrics
from orchestrator.triton.codec import Answer, Failure, Outcome
from orchestrator.triton.events import Answered
from orchestrator.worker.active import ActiveJob, Delivery
from orchestrator.worker.inflight import InFlight

GOOD = Answer(4, "Bé")


@dataclass(eq=False)
class Server:
    name: str
    up: bool = True
    in_flight: int = 0
    heard_at: float = 0.0


@dataclass
class Pool:
    """Keeps what was sent and asked."""

    servers: Sequence[Server]
    sent: list[tuple[str, int, int]] = field(default_factory=list)  # request id, index, attempt
    doubted: int = 0
    slowed: int = 0

    @property
    def up(self) -> bool:
        return any(server.up for server in self.servers)

    def send(self, server: Server, request_id: str, item: Item, attempt: int) -> None:
        server.in_flight += 1
        self.sent.append((request_id, item.index, attempt))

    def doubt(self, _: Server) -> None:
        self.doubted += 1

    def slow(self, _: Server) -> None:
        self.slowed += 1


class Bench:
    """One or two servers and a job, driven by hand: time passes as told."""

    def __init__(self, servers: int = 1, items: int = 30, **settings: Any) -> None:
        self.servers = [Server(f"s{number}") for number in range(servers)]
        self.pool = Pool(self.servers)
        self.now = 1000.0
        values = {"item_timeout_s": 300.0, "suspect_wait_s": 30.0, **settings}
        self.settings = Settings(**values)
        self.inflight = InFlight(self.settings, self.pool, Metrics(()))  # type: ignore[arg-type]
        job = Job("j", Status.PROCESSING, Priority.NORMAL, items, 10, created_at=0.0)
        texts = [Item(index, f"A{index}", "c", "p", "r") for index in range(items)]
        self.job = ActiveJob(Batcher(job), 1, texts)
        self.numbers = 0
        self.open: dict[int, list[tuple[str, Server]]] = {}
        for server in self.servers:
            self.inflight.up(server, False, self.now)  # type: ignore[arg-type]

    def send(self, delivery: Delivery, server: Server | None = None) -> None:
        server = server or self.servers[0]
        self.numbers += 1
        request_id = f"r{self.numbers}"
        self.open.setdefault(delivery.item.index, []).append((request_id, server))
        self.inflight.send(request_id, delivery, server, self.now)  # type: ignore[arg-type]

    def send_fresh(self, count: int, server: Server | None = None) -> list[Delivery]:
        deliveries = [self.job.take() for _ in range(count)]
        for delivery in deliveries:
            self.send(delivery, server)
        return deliveries

    def answer(self, index: int, outcome: Outcome = GOOD, which: int = 0) -> None:
        request_id, server = self.open[index].pop(which)
        server.in_flight -= 1
        self.inflight.answered(Answered(server, request_id, outcome), self.now)  # type: ignore[arg-type]

    def die(self, server: Server | None = None) -> None:
        """The connection breaks; what was open on it gets no answer."""
        server = server or self.servers[0]
        server.up, server.in_flight = False, 0
        for index in self.open:
            self.open[index] = [one for one in self.open[index] if one[1] is not server]
        self.inflight.broken(server)  # type: ignore[arg-type]
        self.inflight.down(server, self.now)  # type: ignore[arg-type]

    def come_up(self, restarted: bool, server: Server | None = None) -> None:
        server = server or self.servers[0]
        server.up = True
        self.inflight.up(server, restarted, self.now)  # type: ignore[arg-type]

    def probe(self, alive: bool, asked_at: float) -> None:
        self.inflight.probed(self.servers[0], alive, asked_at, self.now)  # type: ignore[arg-type]

    def send_due(self) -> list[int]:
        """Sends suspects and what is to be tried again, as the worker does; gives their indexes."""
        sent = []
        for delivery in self.inflight.released(self.now):
            self.send(delivery)
            sent.append(delivery.item.index)
        up = [server for server in self.servers if server.up]
        while (found := self.inflight.isolation.next(self.now, up, True)) is not None:  # type: ignore[arg-type]
            delivery, server = found
            self.send(delivery, server)  # type: ignore[arg-type]
            sent.append(delivery.item.index)
        return sent

    @property
    def failed(self) -> dict[int, str]:
        return {
            result.index: result.error.code
            for _, result in self.inflight.finished
            if result.error is not None
        }

    @property
    def marked(self) -> list[int]:
        return [result.index for _, result in self.inflight.finished if result.error is None]


def test_a_flapping_triton_convicts_nobody() -> None:
    """It dies again and again by itself, with thirty ordinary texts in flight, then ten, then one."""
    bench = Bench()
    bench.send_fresh(30)
    bench.now += 1
    for _ in range(12):
        bench.die()
        bench.now += 20
        bench.come_up(restarted=True)
        # It lives for three seconds, in which it gets what is to be tried.
        for _ in range(6):
            bench.now += 0.5
            bench.send_due()
    assert bench.failed == {}
    bench.now += 100
    for _ in range(200):
        for index in bench.send_due():
            bench.answer(index)
        bench.now += 1
    assert sorted(bench.marked) == list(range(30))
    assert bench.failed == {}


def test_a_text_that_kills_the_model_fails_alone() -> None:
    """Three deaths that it met alone; the thirty in its company all get their marks."""
    bench = Bench()
    bench.send_fresh(30)
    deaths = 0
    for _ in range(2000):
        bench.now += 0.5
        sent = bench.send_due() if deaths else [*range(30)]
        if 7 in sent:
            deaths += 1
            bench.die()
            bench.now += 20
            bench.come_up(restarted=True)
        else:
            for index in sent:
                bench.answer(index)
        if len(bench.inflight.finished) == 30:
            break
    assert bench.failed == {7: "model_crashed"}
    assert sorted(bench.marked) == [index for index in range(30) if index != 7]
    assert deaths == 5  # in company, in a group, and three times alone


def test_a_broken_connection_is_no_death() -> None:
    """Ordinary texts go again after a short pause, with the same seed, all together."""
    bench = Bench()
    bench.send_fresh(30)
    for _ in range(4):
        bench.die()
        bench.now += 5
        bench.come_up(restarted=False)
        bench.now += bench.settings.retry_first_s
        assert len(bench.send_due()) == 30
    assert not bench.inflight.isolation.waiting
    assert {attempt for _, _, attempt in bench.pool.sent} == {1}


def test_a_slow_model_fails_nothing() -> None:
    """160 in its queue, one answer in two seconds: the last one's time begins when its turn has come."""
    bench = Bench(items=160, item_timeout_s=10.0)
    bench.send_fresh(160)
    for index in range(160):
        bench.now += 2
        bench.inflight.check_time(bench.now)
        bench.answer(index)
    assert len(bench.marked) == 160
    assert bench.pool.slowed == 0


def test_a_text_that_hangs_is_found_although_others_are_answered() -> None:
    """Its time counts from when something that was sent later was answered."""
    bench = Bench(item_timeout_s=10.0)
    bench.send_fresh(20)
    bench.answer(0)
    for index in range(2, 20):
        bench.now += 1
        bench.inflight.check_time(bench.now)
        bench.answer(index)
    assert bench.pool.slowed == 1
    assert bench.inflight.places_taken == 1  # held until a probe tells that the model lives
    bench.probe(True, bench.now)
    bench.now += bench.settings.retry_max_s
    assert bench.send_due() == [1]


def test_a_late_good_answer_is_a_good_answer() -> None:
    """It comes after its time, while the item waits to be tried again; then that is not done."""
    bench = Bench(item_timeout_s=10.0)
    bench.send_fresh(1)
    bench.now += 11
    bench.inflight.check_time(bench.now)
    bench.probe(True, bench.now)
    bench.answer(0)
    assert bench.marked == [0]
    bench.now += 60
    assert bench.send_due() == []
    assert bench.inflight.places_taken == 0


def test_the_answer_to_a_second_try_is_ignored_once_the_first_was_late() -> None:
    """One result an item, whichever comes first."""
    bench = Bench(item_timeout_s=10.0)
    bench.send_fresh(1)
    bench.now += 11
    bench.inflight.check_time(bench.now)
    bench.probe(True, bench.now)
    bench.now += 60
    assert bench.send_due() == [0]
    bench.answer(0, GOOD, which=0)
    bench.answer(0, Answer(1, "Altra"), which=0)
    assert [result.nota for _, result in bench.inflight.finished] == [4]


def test_a_failure_is_judged_by_a_probe_that_was_sent_after_it() -> None:
    """One that was under way says nothing about what came later."""
    bench = Bench()
    bench.send_fresh(1)
    asked_at = bench.now
    bench.now += 1
    bench.answer(0, Failure("no"))
    bench.probe(False, asked_at)
    assert bench.inflight.places_taken == 1
    assert bench.pool.doubted == 2
    bench.probe(True, bench.now)
    bench.now += bench.settings.retry_max_s
    assert bench.send_due() == [0]


def test_tries_wait_longer_each_time() -> None:
    """At most as long as the settings say, and never the same for all."""
    bench = Bench(max_attempts=4, retry_first_s=1.0, retry_max_s=3.0)
    (delivery,) = bench.send_fresh(1)
    pauses = []
    for _ in range(3):
        bench.answer(0, Failure("no"))
        bench.probe(True, bench.now + 1)
        due = bench.inflight.retries.next_at
        assert due is not None
        pauses.append(due - bench.now)
        bench.now = due
        assert bench.send_due() == [0]
    assert 0.5 <= pauses[0] <= 1.0 <= pauses[1] * 1.0001
    assert pauses[1] <= 2.0
    assert 1.5 <= pauses[2] <= 3.0
    assert delivery.sent == 4


def test_items_of_a_server_that_stays_away_go_to_another_one_with_care() -> None:
    """After a while, in small groups, whatever the reason; a late answer from the first one still counts."""
    bench = Bench(servers=2, max_in_flight=32)
    bench.send_fresh(6, bench.servers[0])
    bench.servers[0].up = False
    bench.inflight.down(bench.servers[0], bench.now)  # type: ignore[arg-type]
    bench.now += 29
    bench.inflight.check_time(bench.now)
    assert bench.send_due() == []
    bench.now += 2
    bench.inflight.check_time(bench.now)
    bench.answer(5)
    assert bench.send_due() == [0, 1]
    assert [server for _, server in bench.open[0]] == bench.servers


@pytest.mark.parametrize("outcome", [Failure("x"), Answer(None, "", "no_mark", "no")])
def test_an_item_fails_after_its_attempts(outcome: Outcome) -> None:
    bench = Bench()
    bench.send_fresh(1)
    for _ in range(3):
        bench.answer(0, outcome)
        bench.probe(True, bench.now + 1)
        bench.now += 60
        bench.send_due()
    assert list(bench.failed) == [0]
    assert [attempt for _, _, attempt in bench.pool.sent] == [1, 2, 3]


def test_an_ended_jobs_items_are_forgotten() -> None:
    """Whatever becomes of them: no result, no further try."""
    bench = Bench()
    bench.send_fresh(3)
    bench.job.end()
    bench.answer(0)
    bench.answer(1, Failure("x"))
    bench.die()
    bench.come_up(restarted=True)
    bench.now += 60
    assert bench.send_due() == []
    assert bench.inflight.finished == []
    assert bench.inflight.places_taken == 0


def test_what_is_sent_after_a_hanging_text_has_its_own_time() -> None:
    """A text that hangs each time is given up after its attempts, though nothing else is answered."""
    bench = Bench(item_timeout_s=10.0)
    bench.send_fresh(1)
    for _ in range(3):
        bench.now += 11
        bench.inflight.check_time(bench.now)
        bench.probe(True, bench.now)
        bench.now += bench.settings.retry_max_s
        bench.send_due()
    assert bench.failed == {0: "item_timeout"}


def test_a_text_that_kills_one_server_after_the_other_fails_alone() -> None:
    """Each stays away for so long that the next one gets its suspects before it is known to have died."""
    bench = Bench(servers=2, items=1, suspect_wait_s=5.0)
    bench.send_fresh(1)
    down_since: dict[str, float] = {}
    for _ in range(4000):
        bench.now += 0.5
        for server in bench.servers:
            if any(sent_to is server for _, sent_to in bench.open[0]):
                bench.die(server)
                down_since[server.name] = bench.now
            elif server.name in down_since and bench.now - down_since[server.name] >= 12:
                del down_since[server.name]
                bench.come_up(True, server)
        bench.inflight.check_time(bench.now)
        bench.send_due()
        if bench.inflight.finished:
            break
    assert bench.failed == {0: "model_crashed"}
    assert len(bench.pool.sent) <= 6
