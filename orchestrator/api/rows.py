"""A job's results in item order, read a part at a time: not the whole job for each of many slow readers."""

from array import array
from collections.abc import AsyncIterator
from typing import Any

from orchestrator.errors import JobExpiredError
from orchestrator.store.payloads import results_in
from orchestrator.store.reading import Reading

PAGE_EVENTS = 16  # events read at a time for the index
PART_ROWS = 100  # results in memory at a time


class Rows:
    """What is finished of a job at the moment of `read_index`."""

    def __init__(self, reading: Reading, job_id: str) -> None:
        self._reading = reading
        self._job_id = job_id
        # For each item the number of the event with its result; 0 for none yet.
        self._events = array("l")
        self.completed = 0
        self.failed = 0

    async def read_index(self) -> None:
        """Finds out where each result is."""
        after = 0
        while page := await self._reading.events(self._job_id, after, PAGE_EVENTS):
            for number, payload in page:
                for row in results_in(payload):
                    self._note(row, number)
            after = page[-1][0]

    async def parts(self) -> AsyncIterator[list[dict[str, Any]]]:
        """The results in item order, at most PART_ROWS at a time.

        JobExpiredError if some are gone by now: what was sent must not look whole.
        """
        indexes = [index for index, number in enumerate(self._events) if number]
        for start in range(0, len(indexes), PART_ROWS):
            wanted = indexes[start : start + PART_ROWS]
            found = await self._rows(wanted)
            if len(found) < len(wanted):
                raise JobExpiredError
            yield [found[index] for index in wanted]

    def _note(self, row: dict[str, Any], number: int) -> None:
        missing = row["index"] + 1 - len(self._events)
        if missing > 0:
            self._events.extend([0] * missing)
        self._events[row["index"]] = number
        self.completed += 1
        self.failed += row["status"] == "failed"

    async def _rows(self, wanted: list[int]) -> dict[int, dict[str, Any]]:
        numbers = sorted({self._events[index] for index in wanted})
        keep = set(wanted)
        found: dict[int, dict[str, Any]] = {}
        for payload in await self._reading.events_at(self._job_id, numbers):
            found.update((row["index"], row) for row in results_in(payload) if row["index"] in keep)
        return found
