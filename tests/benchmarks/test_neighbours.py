"""What counts as a change between two runs."""

import pytest

from benchmarks.neighbours import Difference, Marked, compare


def test_changes_are_counted_item_by_item() -> None:
    """A mark, a feedback and a doubt each count by themselves, at the item where they differ."""
    reference = [Marked(3, "a", 0.9), Marked(4, "b", 0.8), Marked(0, "c", 0.7)]
    other = [Marked(3, "a", 0.85), Marked(4, "x", 0.8), Marked(2, "c", 0.1)]
    found = compare(reference, other)
    assert (found.marks, found.feedbacks, found.by_more_than_one) == (1, 1, 1)
    assert found.largest_doubt == pytest.approx(0.05)
    assert compare(reference, reference) == Difference(0, 0, 0, 0.0)


def test_runs_over_other_items_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare([Marked(3, "a", 0.9)], [])
