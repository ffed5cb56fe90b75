"""The agreement figures, on marks whose figures are known."""

from __future__ import annotations

import dataclasses

import pytest

from demo_model.agreement import Graded, parse, score
from demo_model.dataset import Item, stratified


@pytest.fixture(scope="module")
def made() -> list[Item]:
    return stratified(60)


def perfect(made: list[Item]) -> list[Graded]:
    """Return what a model that is always right would answer."""
    return [Graded(item.nota, item.feedback) for item in made]


def test_right_marks_agree_fully(made: list[Item]) -> None:
    """All right is 1 everywhere, and all of the confusion is on the diagonal."""
    figures = score(made, perfect(made))
    assert figures.kappa == figures.exact == figures.within_one == 1.0
    assert figures.mean_error == 0.0
    assert figures.naming_the_course == figures.naming_a_course == 60
    assert figures.off_topic_low == figures.off_topic > 0
    assert [row[mark] for mark, row in enumerate(figures.confusion)] == [10] * 6


def test_results_swapped_between_students_show(made: list[Item]) -> None:
    """Each student with the next one's result: agreement falls below the bar, and wrong courses are named."""
    right = perfect(made)
    figures = score(made, [*right[1:], right[0]])
    assert figures.kappa < 0.75
    assert figures.naming_the_course < figures.naming_a_course


def test_one_off_everywhere_is_within_one(made: list[Item]) -> None:
    """Marks that are all one too high, or too low at the top, are never exact and always within one."""
    shifted = [Graded(item.nota + 1 if item.nota < 5 else 4, item.feedback) for item in made]
    figures = score(made, shifted)
    assert (figures.exact, figures.within_one, figures.mean_error) == (0.0, 1.0, 1.0)


def test_items_without_a_mark_are_counted_apart(made: list[Item]) -> None:
    """A failed item is no mark of zero: it is left out of the agreement and counted."""
    graded = [Graded(None, None), *perfect(made)[1:]]
    figures = score(made, graded)
    assert (figures.items, figures.unmarked, figures.kappa) == (60, 1, 1.0)
    assert "60, of which 1 came back without a mark" in str(figures)


def test_another_course_in_the_feedback_is_not_the_right_one(made: list[Item]) -> None:
    """Naming the student's course beside another one does not count as right."""
    both = dataclasses.replace(made[0], curso="1r ESO")
    figures = score([both], [Graded(3, "Bé per a 1r ESO, i per a 2n ESO.")])
    assert (figures.naming_a_course, figures.naming_the_course) == (1, 0)


@pytest.mark.parametrize(
    ("text", "graded"),
    [
        ('{"nota": 3, "feedback": "Bé."}', Graded(3, "Bé.")),
        ('{"nota": 6, "feedback": "Bé."}', None),
        ('{"nota": "3", "feedback": "Bé."}', None),
        ('{"nota": 3}', None),
        ('{"nota": 3, "feedback": "Bé."} i més', None),
        ("3", None),
    ],
)
def test_only_the_json_asked_for_is_parsed(text: str, graded: Graded | None) -> None:
    """The share of valid JSON counts nothing but the exact shape."""
    assert parse(text) == graded
