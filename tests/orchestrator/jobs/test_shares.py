"""How workers share the places for items in flight."""

import hypothesis.strategies as st
from hypothesis import given

from orchestrator.jobs.shares import Holder, share

HOLDERS = st.builds(Holder, weight=st.integers(0, 20), wanted=st.integers(0, 3000), held=st.integers(0, 200))


def test_one_worker_has_all() -> None:
    assert share(160, Holder(2, 2000, 0), []).places == 160


def test_equal_workers_have_equal_shares() -> None:
    """Once the one that had all has given some back."""
    assert share(160, Holder(2, 2000, 160), [Holder(2, 2000, 1)]).fair == 80
    assert share(160, Holder(2, 2000, 1), [Holder(2, 2000, 80)]).places == 80


def test_a_newcomer_gets_some_places_at_once() -> None:
    """The others hold all there are, and give back in time."""
    assert share(160, Holder(2, 25, 0), [Holder(2, 2000, 160)]).places == 16
    assert share(4, Holder(2, 25, 0), [Holder(2, 2000, 4)]).places == 1


def test_what_a_small_job_leaves_is_the_others() -> None:
    """25 items can't use 80 places."""
    assert share(160, Holder(2, 2000, 135), [Holder(2, 25, 25)]).places == 135


def test_a_worker_without_work_has_none() -> None:
    assert share(160, Holder(0, 0, 0), []).places == 0


@given(size=st.integers(1, 500), holders=st.lists(HOLDERS, min_size=1, max_size=6))
def test_fair_shares_are_never_more_than_there_are(size: int, holders: list[Holder]) -> None:
    """But for the one place that everybody gets who wants some."""
    wanting = [holder for holder in holders if holder.weight and holder.wanted]
    fair = [
        share(size, holder, [other for other in holders if other is not holder]).fair for holder in holders
    ]
    assert sum(fair) <= size + len(wanting)
    assert all((amount > 0) == (holder in wanting) for amount, holder in zip(fair, holders, strict=True))


@given(size=st.integers(1, 500), mine=HOLDERS, others=st.lists(HOLDERS, max_size=5))
def test_what_is_granted_never_exceeds_what_others_leave(
    size: int, mine: Holder, others: list[Holder]
) -> None:
    """But for a first tenth."""
    granted = share(size, mine, others).places
    assert granted <= max(1, size // 10, size - sum(other.held for other in others))
