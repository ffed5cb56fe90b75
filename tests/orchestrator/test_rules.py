"""The rules of jobs, batches, window and quarantine, without I/O."""

import json
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.errors import ClosedError, DuplicateResultError, IllegalTransitionError
from orchestrator.jobs import TERMINAL, Item, ItemError, Job, Priority, Result, Status, by_prompt
from orchestrator.jobs.batching import Ledger
from orchestrator.jobs.events import Event, results_in
from orchestrator.jobs.isolation import Quarantine
from orchestrator.jobs.rate import Estimate
from orchestrator.worker.window import Attempt, Run, Window


def make_job(total: int, batch_size: int = 10, priority: Priority = Priority.NORMAL) -> Job:
    return Job("j", Status.QUEUED, priority, total, batch_size, created_at=0.0)


def make_result(index: int, failed: bool = False) -> Result:
    error = ItemError("inference_error", "no") if failed else None
    return Result(index, f"A{index}", None if failed else 3, None if failed else "bé", error, 1)


def make_run(total: int, priority: Priority = Priority.NORMAL) -> Run:
    items = [Item(index, f"A{index}", "c", "p", "r") for index in range(total)]
    return Run(Ledger(make_job(total, priority=priority)), items)


class JobRules(RuleBasedStateMachine):
    """A job through any order of results, crashes, clean restarts and ends, against what clients may rely on.

    The disk is a list of committed events and the job's row; a crash keeps only that.
    """

    @initialize(total=st.integers(1, 35), batch_size=st.integers(1, 12))
    def begin(self, total: int, batch_size: int) -> None:
        self.now = 100.0
        self.disk: list[tuple[int, bytes]] = []
        self.row = make_job(total, batch_size)
        self.kept: tuple[Result, ...] = ()
        self.ledger = Ledger(self.row)
        self.taken: list[int] = []  # the order in which results came, as far as no crash lost them
        self.ended = False

    def commit(self, events: list[Event]) -> None:
        self.disk += [(event.number, event.payload()) for event in events]
        self.row = self.ledger.job
        self.kept = ()

    @property
    def envelopes(self) -> list[dict[str, object]]:
        return [json.loads(payload) for _, payload in self.disk]

    @property
    def told(self) -> list[int]:
        return [result["index"] for _, payload in self.disk for result in results_in(payload)]

    @precondition(lambda self: self.ledger.job.status is Status.QUEUED)
    @rule()
    def start(self) -> None:
        self.ledger.start(self.now)
        self.commit([])

    @precondition(lambda self: self.ledger.job.status is Status.PROCESSING)
    @rule(data=st.data(), failed=st.booleans())
    def finish_an_item(self, data: st.DataObject, failed: bool) -> None:
        self.now += 1
        open_items = [index for index in range(self.row.total) if not self.ledger.has(index)]
        index = data.draw(st.sampled_from(open_items))
        self.taken.append(index)
        self.commit_if_any(self.ledger.add(make_result(index, failed), self.now))

    def commit_if_any(self, events: list[Event]) -> None:
        if events:
            self.commit(events)

    @precondition(lambda self: self.taken and not self.ledger.job.terminal)
    @rule(data=st.data())
    def no_item_gets_a_second_result(self, data: st.DataObject) -> None:
        with pytest.raises(DuplicateResultError):
            self.ledger.add(make_result(data.draw(st.sampled_from(self.taken))), self.now)

    @precondition(lambda self: not self.ledger.job.terminal)
    @rule()
    def crash(self) -> None:
        """What was not committed is lost, and done again."""
        self.reopen(())

    @precondition(lambda self: not self.ledger.job.terminal)
    @rule()
    def restart(self) -> None:
        """A clean stop keeps the results of the open batch too."""
        self.reopen(self.ledger.loose)

    def reopen(self, loose: tuple[Result, ...]) -> None:
        self.taken = self.told + [result.index for result in loose]
        self.ledger = Ledger(self.row, set(self.told), loose)
        if self.ledger.job.status is Status.PROCESSING:
            self.commit_if_any(self.ledger.settle(self.now))

    @precondition(lambda self: not self.ledger.job.terminal)
    @rule(status=st.sampled_from([Status.CANCELLED, Status.FAILED]))
    def end(self, status: Status) -> None:
        self.commit(self.ledger.close(status, self.now))

    @precondition(lambda self: self.ledger.job.terminal)
    @rule(status=st.sampled_from(list(Status)))
    def an_ended_job_stays_so(self, status: Status) -> None:
        with pytest.raises(IllegalTransitionError):
            self.ledger.job.moved(status, self.now)
        with pytest.raises(ClosedError):
            self.ledger.add(make_result(0), self.now)
        assert self.ledger.settle(self.now) == []

    @invariant()
    def events_are_numbered_without_a_gap(self) -> None:
        assert [number for number, _ in self.disk] == list(range(1, len(self.disk) + 1))
        assert self.row.last_event == len(self.disk)

    @invariant()
    def results_are_told_once_and_in_the_order_of_finishing(self) -> None:
        assert self.told == self.taken[: len(self.told)]
        assert len(set(self.told)) == len(self.told) == self.row.completed

    @invariant()
    def only_the_last_batch_may_be_smaller(self) -> None:
        batches = [envelope["data"] for envelope in self.envelopes if envelope["event"] == "batch_complete"]
        sizes = [len(batch["results"]) for batch in batches]  # type: ignore[index]
        assert all(size == self.row.batch_size for size in sizes[:-1])
        if sizes and not self.row.terminal:
            assert sizes[-1] == self.row.batch_size
        assert [batch["batch_number"] for batch in batches] == list(range(1, len(batches) + 1))  # type: ignore[index]

    @invariant()
    def the_final_event_comes_once_and_last(self) -> None:
        finals = [place for place, envelope in enumerate(self.envelopes) if envelope["event"] == "complete"]
        assert finals == ([len(self.disk) - 1] if self.row.terminal else [])
        if self.row.terminal:
            data = self.envelopes[-1]["data"]
            assert isinstance(data, dict)
            assert data["total_processed"] == len(self.told)
            assert data["status"] == self.row.status
            failed = sum(
                result["status"] == "failed" for _, payload in self.disk for result in results_in(payload)
            )
            assert data["failed_items"] == self.row.failed_items == failed

    @invariant()
    def a_job_completes_exactly_when_all_have_results(self) -> None:
        assert (self.row.status is Status.COMPLETED) == (
            self.row.completed == self.row.total and self.row.status not in {Status.CANCELLED, Status.FAILED}
        )


JobRules.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestJobRules = JobRules.TestCase


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_a_terminal_status_allows_no_move(status: Status) -> None:
    job = replace(make_job(1), status=status)
    for other in Status:
        with pytest.raises(IllegalTransitionError):
            job.moved(other, 1.0)


def test_a_result_has_a_mark_or_an_error() -> None:
    """Never both, never neither."""
    with pytest.raises(ValueError, match="a mark or an error"):
        Result(0, "A", None, "text", None, 1)
    with pytest.raises(ValueError, match="a mark or an error"):
        Result(0, "A", 3, "text", ItemError("x", "y"), 1)


def test_items_with_the_same_prompt_go_together() -> None:
    """Groups and members keep their order of appearance."""
    items = [Item(i, "A", "c", prompt, "r") for i, prompt in enumerate(["p", "q", "p", "r", "q", "p"])]
    assert [item.index for item in by_prompt(items)] == [0, 2, 5, 1, 4, 3]


def fill(window: Window, runs: list[Run], in_flight: int = 0) -> int:
    while (run := window.pick(runs, in_flight)) is not None:
        run.take()
        run.in_flight += 1
        in_flight += 1
    return in_flight


def test_the_window_is_shared_by_weight() -> None:
    """Equal jobs hold equal shares; an interactive one holds four times what a bulk one holds."""
    bulk, interactive = make_run(500, Priority.BULK), make_run(500, Priority.INTERACTIVE)
    assert fill(Window(100), [bulk, interactive]) == 90  # the last ten places are a newcomer's
    assert (bulk.in_flight, interactive.in_flight) == (18, 72)
    one, other = make_run(500), make_run(500)
    fill(Window(100), [one, other])
    assert one.in_flight == other.in_flight == 45


def test_a_small_job_starts_at_once_beside_a_large_one() -> None:
    """A large job leaves a few places, which a newcomer takes before any answer has come."""
    window, large, small = Window(160), make_run(2000), make_run(10)
    in_flight = fill(window, [large])
    assert in_flight == 144
    fill(window, [large, small], in_flight)
    assert small.in_flight == 10


def suspects(count: int, crashes: int) -> list[Attempt]:
    run = make_run(count)
    return [Attempt(run, run.fresh.popleft(), crashes=crashes) for _ in range(count)]


def test_suspects_go_in_small_groups_then_alone() -> None:
    """While a group is out nothing else is sent; those suspected twice go one by one."""
    quarantine = Quarantine(window_size=160, max_attempts=3)
    for attempt in [*suspects(15, crashes=1), *suspects(2, crashes=2)]:
        quarantine.add(attempt)
    sizes = []
    while quarantine.busy(0):
        size = 0
        while quarantine.next(size) is not None:
            size += 1
            assert quarantine.busy(size)
        sizes.append(size)
    assert sizes == [10, 5, 1, 1]


def test_suspects_of_an_ended_job_are_forgotten() -> None:
    quarantine = Quarantine(window_size=160, max_attempts=3)
    attempts = suspects(3, crashes=1)
    for attempt in attempts:
        quarantine.add(attempt)
    attempts[0].run.ledger.close(Status.CANCELLED, 1.0)
    assert not quarantine.busy(0)


def test_retry_after_is_when_the_first_job_ends() -> None:
    """At 10 items a second, two jobs with 20 and 400 items left: the smaller one ends in four seconds."""
    estimate = Estimate(expected_items_per_s=5.0)
    assert estimate.seconds(50) == 10.0
    for second in range(10):
        estimate.finished(10, float(second))
    assert estimate.seconds(50) == 5.0
    assert estimate.next_end_s([20, 400]) == 4
    assert estimate.next_end_s([]) == 1
