"""Which steps of a growing cost are called worse than linear."""

from __future__ import annotations

from benchmarks.steps import Growth, Step, table


def growth(*costs: tuple[int, float]) -> Growth:
    return Growth("items in all", "items", [Step(size, [seconds]) for size, seconds in costs])


def test_linear_growth_and_fixed_costs_are_good() -> None:
    """Ten times as many may take ten times as long, or less."""
    assert growth((10, 1.0), (100, 10.0), (1000, 60.0)).bad() == []


def test_a_quadratic_step_is_bad() -> None:
    """Twice as many that take four times as long."""
    assert growth((10, 1.0), (20, 4.0)).bad() == [20]


def test_noise_is_let_pass_up_to_the_tolerance() -> None:
    """A quarter more for each is noise, more is not."""
    assert growth((10, 1.0), (20, 2.4)).bad() == []
    assert growth((10, 1.0), (20, 2.6)).bad() == [20]
    assert growth((10, 1.0), (20, 2.6)).bad(tolerance=0.5) == []


def test_many_small_steps_upwards_show() -> None:
    """Each costs a fifth more than the one before: none is over the tolerance, together they are."""
    assert growth((10, 10.0), (20, 24.0), (40, 57.6), (80, 138.2)).bad() == [40, 80]


def test_the_median_counts() -> None:
    """One slow time of three makes no step bad."""
    assert Growth("", "items", [Step(10, [1.0]), Step(20, [2.0, 9.0, 2.0])]).bad() == []


def test_the_table_names_the_bad_steps() -> None:
    """One row a size, the verdict at its end, none for the first."""
    first, good, bad = table(growth((10, 1.0), (20, 2.0), (40, 9.0))).splitlines()[2:]
    assert first.endswith("|  |")
    assert "linear or better" in good
    assert "worse than linear" in bad
