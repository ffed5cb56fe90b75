"""The rules of jobs and batches, without I/O."""

import json
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.errors import ClosedError, DuplicateResultError, IllegalTransitionError
from orchestrator.jobs import TERMINAL, Item, ItemError, Job, Priority, Result, Status, by_prompt
from orchestrator.jobs.batching import Batcher
from orchestrator.jobs.events import Event
from orchestrator.store.payloads import payload, results_in


def make_job(total: int, batch_size: int = 10, priority: Priority = Priority.NORMAL) -> Job:
    return Job("j", Status.QUEUED, priority, total, batch_size, created_at=0.0)


def make_result(index: int, failed: bool = False) -> Result:
    error = ItemError("inference_error", "no") if failed else None
    return Result(index, f"A{index}", None if failed else 3, None if failed else "bé", error, 1)


def add(batcher: Batcher, result: Result, now: float) -> list[Event]:
    """Takes one result; the events that are due then."""
    batcher.take(result)
    return batcher.settle(now)


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
        self.batcher = Batcher(self.row)
        self.taken: list[int] = []  # the order in which results came, as far as no crash lost them
        self.ended = False

    def commit(self, events: list[Event]) -> None:
        self.disk += [(event.number, payload(event)) for event in events]
        self.row = self.batcher.job
        self.kept = ()

    @property
    def envelopes(self) -> list[dict[str, object]]:
        return [json.loads(stored) for _, stored in self.disk]

    @property
    def told(self) -> list[int]:
        return [result["index"] for _, stored in self.disk for result in results_in(stored)]

    @precondition(lambda self: self.batcher.job.status is Status.QUEUED)
    @rule()
    def start(self) -> None:
        self.batcher.start(self.now)
        self.commit([])

    @precondition(lambda self: self.batcher.job.status is Status.PROCESSING)
    @rule(data=st.data(), failed=st.booleans())
    def finish_an_item(self, data: st.DataObject, failed: bool) -> None:
        self.now += 1
        open_items = [index for index in range(self.row.total) if not self.batcher.has(index)]
        index = data.draw(st.sampled_from(open_items))
        self.taken.append(index)
        self.commit_if_any(add(self.batcher, make_result(index, failed), self.now))

    def commit_if_any(self, events: list[Event]) -> None:
        if events:
            self.commit(events)

    @precondition(lambda self: self.taken and not self.batcher.job.terminal)
    @rule(data=st.data())
    def no_item_gets_a_second_result(self, data: st.DataObject) -> None:
        with pytest.raises(DuplicateResultError):
            add(self.batcher, make_result(data.draw(st.sampled_from(self.taken))), self.now)

    @precondition(lambda self: not self.batcher.job.terminal)
    @rule()
    def crash(self) -> None:
        """What was not committed is lost, and done again."""
        self.reopen(())

    @precondition(lambda self: not self.batcher.job.terminal)
    @rule()
    def restart(self) -> None:
        """A clean stop keeps the results of the open batch too."""
        self.reopen(self.batcher.partial)

    def reopen(self, partial: tuple[Result, ...]) -> None:
        self.taken = self.told + [result.index for result in partial]
        self.batcher = Batcher(self.row, set(self.told), partial)
        if self.batcher.job.status is Status.PROCESSING:
            self.commit_if_any(self.batcher.settle(self.now))

    @precondition(lambda self: not self.batcher.job.terminal)
    @rule(status=st.sampled_from([Status.CANCELLED, Status.FAILED]))
    def end(self, status: Status) -> None:
        self.commit(self.batcher.close(status, self.now))

    @precondition(lambda self: self.batcher.job.terminal)
    @rule(status=st.sampled_from(list(Status)))
    def an_ended_job_stays_so(self, status: Status) -> None:
        with pytest.raises(IllegalTransitionError):
            self.batcher.job.moved(status, self.now)
        with pytest.raises(ClosedError):
            add(self.batcher, make_result(0), self.now)
        assert self.batcher.settle(self.now) == []

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
                result["status"] == "failed" for _, stored in self.disk for result in results_in(stored)
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
