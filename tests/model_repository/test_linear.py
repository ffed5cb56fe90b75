"""No text takes longer than its length allows, whatever it is filled with."""

from __future__ import annotations

import pytest

from benchmarks.texts import FILLERS, measure, stages

# A factor of 2 is linear and 8 quadratic, so that neither noise nor a cache decides.
LENGTHS, LIMIT = (20_000, 80_000), 4.0
STAGES = stages()


@pytest.mark.parametrize("kind", FILLERS)
def test_time_grows_with_the_length_alone(kind: str) -> None:
    """Four times the length takes less than eight times as long, in every stage that reads texts."""
    for name, stage in STAGES.items():
        growth = measure(kind, name, stage, LENGTHS, LIMIT)
        assert growth.worst() <= LIMIT, (name, growth.ms)
