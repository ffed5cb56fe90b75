"""How fast a job is worked on, and so how long the rest takes."""

import pytest

from orchestrator.jobs.rate import ActiveTime, Rate


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    """What was faster or slower before no longer counts."""
    rate = Rate()
    for second in range(60):
        rate.finished(1, float(second))
    for second in range(60, 100):
        rate.finished(10, float(second))
    measured = rate.measured(100.0)
    assert measured is not None
    assert measured.rate == pytest.approx(10.0, rel=0.05)


def test_nothing_is_said_before_anything_was_measured() -> None:
    """One observation only marks a beginning."""
    rate = Rate()
    assert rate.measured(0.0) is None
    rate.finished(10, 5.0)
    assert rate.measured(6.0) is None
    rate.finished(10, 6.0)
    assert rate.measured(6.0) is not None


def test_more_observations_make_it_surer() -> None:
    """The error falls with the square root of their number."""
    rate = Rate()
    for second in range(5):
        rate.finished(10, float(second))
    few = rate.measured(5.0)
    for second in range(5, 17):
        rate.finished(10, float(second))
    many = rate.measured(17.0)
    assert few is not None
    assert many is not None
    assert few.error == pytest.approx(0.5)
    assert many.error == pytest.approx(0.25)


def test_many_results_at_once_take_little_memory() -> None:
    """A job of 2000 with an instant model is a few observations."""
    rate = Rate()
    for number in range(20_000):
        rate.finished(1, number / 1000)
    assert len(rate._counts) < 100
    measured = rate.measured(20.0)
    assert measured is not None
    assert measured.rate == pytest.approx(1000, rel=0.1)


def test_time_stands_still_during_an_outage() -> None:
    """An hour without the model is no hour of work."""
    clock = ActiveTime(100.0)
    assert clock.update(100.0, active=True) == 0.0
    assert clock.update(110.0, active=False) == 10.0
    assert clock.update(3710.0, active=True) == 10.0
    assert clock.update(3711.0, active=True) == 11.0
