"""A model that is slower than its time limit allows for a whole window of texts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start

SECONDS = 0.04
ITEMS = 200
TIMEOUT_S = 2.0
"""Less than a third of what a window of 160 takes."""


@pytest.fixture
def slow_triton(tmp_path: Path) -> Iterator[TritonProcess]:
    server = TritonProcess.scripted(tmp_path / "triton", {"SCRIPTED_SECONDS": str(SECONDS)})
    server.start()
    yield server
    server.stop()


async def test_a_slow_model_fails_nobody(start: Start, slow_triton: TritonProcess) -> None:
    """A text's time counts from when the model can have begun it, so a slow one marks them all at once."""
    async with start(slow_triton, item_timeout_s=TIMEOUT_S, max_in_flight=160) as client:
        heard = await client.stream(await client.submit(make_items(ITEMS)))
    assert heard.final["failed_items"] == 0
    assert {result["attempts"] for result in heard.results} == {1}
    assert len(heard.results) == ITEMS
