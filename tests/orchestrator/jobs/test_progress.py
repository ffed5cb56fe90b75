"""What clients hear of how far a job is, and how long it still takes."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.jobs.events import Progress


def left(**more: Any) -> tuple[Any, Any]:
    """The time that is left of a job of 100 items, 20 of which took an hour and a half, most of it away."""
    progress = Progress(20, 100, 5400.0, **more).as_dict()
    return progress["estimated_remaining_seconds"], progress["estimated_remaining_range_seconds"]


def test_the_mean_serves_until_a_speed_was_measured() -> None:
    """Of its error nothing is known."""
    assert left() == (21600.0, None)


@pytest.mark.parametrize(
    ("error", "between"),
    [(0.0, [20.0, 20.0]), (0.25, [13.33, 40.0]), (0.5, [10.0, None]), (2.0, [4.0, None])],
)
def test_the_speed_of_late_tells_how_long_it_takes(error: float, between: list[float | None]) -> None:
    """What was away for an hour in between counts for nothing; a vague speed gives a wide range."""
    assert left(rate=4.0, rate_error=error) == (20.0, between)


def test_nothing_is_left_of_what_is_done() -> None:
    """Whatever the speed was; and no job is divided by none of its items."""
    for done in (Progress(5, 5, 9.0), Progress(5, 5, 9.0, 1.0, 0.5), Progress(0, 0, 0.0)):
        assert done.as_dict()["estimated_remaining_seconds"] == 0
        assert done.as_dict()["percentage"] == 100
    assert Progress(0, 10, 0.0).as_dict()["avg_time_per_item"] == 0
