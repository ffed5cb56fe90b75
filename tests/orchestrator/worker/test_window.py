"""Whose turn it is to send an item."""

from orchestrator.jobs import Item, Job, Priority, Status
from orchestrator.jobs.batching import Batcher
from orchestrator.worker.active import ActiveJob
from orchestrator.worker.window import Window


def make_active(total: int, priority: Priority = Priority.NORMAL) -> ActiveJob:
    items = [Item(index, f"A{index}", "c", "p", "r") for index in range(total)]
    job = Job("j", Status.PROCESSING, priority, total, 10, created_at=0.0)
    return ActiveJob(Batcher(job), 1, items)


def fill(window: Window, jobs: list[ActiveJob], in_flight: int = 0) -> int:
    while (job := window.pick(jobs, in_flight)) is not None:
        job.take()
        job.in_flight += 1
        in_flight += 1
    return in_flight


def test_the_window_is_shared_by_weight() -> None:
    """Equal jobs hold equal shares; an interactive one holds four times what a bulk one holds."""
    bulk, interactive = make_active(500, Priority.BULK), make_active(500, Priority.INTERACTIVE)
    assert fill(Window(100), [bulk, interactive]) == 90  # the last ten places are a newcomer's
    assert (bulk.in_flight, interactive.in_flight) == (18, 72)
    one, other = make_active(500), make_active(500)
    fill(Window(100), [one, other])
    assert one.in_flight == other.in_flight == 45


def test_a_small_job_starts_at_once_beside_a_large_one() -> None:
    """A large job leaves a few places, which a newcomer takes before any answer has come."""
    window, large, small = Window(160), make_active(2000), make_active(10)
    in_flight = fill(window, [large])
    assert in_flight == 144
    fill(window, [large, small], in_flight)
    assert small.in_flight == 10


def test_a_job_wants_places_for_items_that_are_tried_apart() -> None:
    """Those are neither waiting nor in flight; a worker that wanted no place for them would get none."""
    job = make_active(3)
    assert job.wanted == 3
    for _ in range(3):
        job.take()
    assert job.wanted == 3
    job.end()
    assert job.wanted == 0
