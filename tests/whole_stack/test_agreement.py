"""The demo model's marks agree with the labels, and each student gets the feedback of their own text.

This guards the prompt, the tokenizer, the order of results and the parsing at once.
"""

from __future__ import annotations

import pytest

from avalua_client import AvaluaClient
from demo_model.agreement import Agreement, Graded, score
from demo_model.dataset import Item, stratified
from demo_model.evaluate import grade
from tests.whole_stack.conftest import LocalStack

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("whole-stack")]

ITEMS = 60
LEAST_KAPPA = 0.75


def trustworthy(agreement: Agreement) -> bool:
    """What the demo model has to reach through the whole stack."""
    return agreement.kappa >= LEAST_KAPPA and agreement.naming_the_course == agreement.naming_a_course


@pytest.fixture(scope="module")
def asked() -> list[Item]:
    return stratified(ITEMS)


@pytest.fixture(scope="module")
def graded_once() -> dict[str, list[Graded]]:
    return {}


async def marks(stack: LocalStack, asked: list[Item], kept: dict[str, list[Graded]]) -> list[Graded]:
    """What the stack says of ``asked``; asked for once."""
    if "graded" not in kept:
        async with AvaluaClient(stack.url) as client:
            kept["graded"] = await grade(client, asked)
    return kept["graded"]


async def test_marks_agree_and_feedback_names_the_own_course(
    stack: LocalStack, asked: list[Item], graded_once: dict[str, list[Graded]]
) -> None:
    """Quadratic weighted kappa is at least 0.75, and no feedback names another student's course."""
    agreement = score(asked, await marks(stack, asked, graded_once))
    assert agreement.naming_a_course > ITEMS / 2
    assert trustworthy(agreement), str(agreement)


async def test_swapped_results_are_noticed(
    stack: LocalStack, asked: list[Item], graded_once: dict[str, list[Graded]]
) -> None:
    """The same results, each given to the next student, don't pass: the test above can fail."""
    graded = await marks(stack, asked, graded_once)
    assert not trustworthy(score(asked, [*graded[1:], graded[0]]))
