"""What a subscriber's times and counts are made of."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from loadtest.events import Following, messages
from loadtest.recorder import DELIVERY, FIRST_BATCH, GAP, ITEM, JOB, Recorder

ITEMS = [{"id_alumno": f"A{index}"} for index in range(3)]


class Told:
    """Locust's request event, as it keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, **values: Any) -> None:
        self.events.append(values)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def recorder(told: Told) -> Recorder:
    return Recorder(told)


def result(index: int, **more: Any) -> dict[str, Any]:
    return {"index": index, "id_alumno": f"A{index}", "status": "ok", "error": None, **more}


def batch(number: int, *results: dict[str, Any], elapsed_s: float = 0.0) -> dict[str, Any]:
    data = {"batch_number": number, "results": results, "progress": {"elapsed_seconds": elapsed_s}}
    return {"event": "batch_complete", "data": data}


def end(status: str = "completed") -> dict[str, Any]:
    return {"event": "complete", "data": {"status": status}}


def hear(following: Following, *events: tuple[dict[str, Any], float]) -> None:
    """Each event with the time it arrives at; the wall's clock is 1000 s ahead."""
    for envelope, at in events:
        following.hear(envelope, 100, at, 1000 + at)


def test_messages() -> None:
    """Comments and retry are passed over, and so is a message that was cut off."""
    stream = b': hi\r\n\r\nretry: 2000\n\nid: 1\ndata: {"a":1}\n\n'
    stream += b': ping\n\nid: 2\r\ndata: {"b":\r\ndata:2}\r\n\r\ndata: {'
    assert list(messages(stream.splitlines(keepends=True))) == [({"a": 1}, 7), ({"b": 2}, 7)]
    assert list(messages([b"data: " + orjson.dumps(end()) + b"\n"])) == []


def test_times_count_from_the_submission(recorder: Recorder, told: Told) -> None:
    """First batch, gap, items and job are timed, in Locust's milliseconds too; connecting is not."""
    following = Following(recorder, ITEMS, since=10.0)
    hear(following, (batch(1, result(2), result(0)), 11.5), (batch(2, result(1)), 12.0), (end(), 12.25))
    assert following.ended
    assert recorder.samples == {FIRST_BATCH: [1.5], GAP: [0.5], ITEM: [1.5, 1.5, 2.0], JOB: [2.25]}
    assert not recorder.failures
    assert [event["response_time"] for event in told.events if event["name"] == GAP.name] == [500.0]
    assert {event["exception"] for event in told.events} == {None}


def test_delivery_leaves_out_what_is_sent_again(recorder: Recorder) -> None:
    """A batch that was made before the stream was open tells nothing of how fast batches are sent."""
    following = Following(recorder, ITEMS, since=10.0)
    hear(following, (batch(1, result(0), elapsed_s=1.0), 15.0), (batch(2, result(1), elapsed_s=4.0), 15.03))
    following.deliveries("1970-01-01T00:16:51.000Z", opened_wall=1013.0)
    assert recorder.samples[DELIVERY] == pytest.approx([0.03])


@pytest.mark.parametrize(
    ("events", "row", "problem"),
    [
        ([batch(1, result(0), result(1)), end()], JOB, "items missing"),
        ([batch(1, result(0), result(0))], ITEM, "came before"),
        ([batch(1, result(7))], ITEM, "not asked for"),
        ([batch(1, result(0, id_alumno="A1"))], ITEM, "another student"),
        ([batch(1, result(0, status="failed", error={"code": "no_mark"}))], ITEM, "no_mark"),
        ([batch(2, result(0))], JOB, "batch 2 came in place 1"),
        ([batch(1, *map(result, range(3))), end("cancelled")], JOB, "cancelled"),
    ],
)
def test_what_must_not_be(
    recorder: Recorder, told: Told, events: list[dict[str, Any]], row: Any, problem: str
) -> None:
    """Whatever is not exactly the job's items is a failure, to Locust as well."""
    hear(Following(recorder, ITEMS, since=0.0), *((event, 1.0) for event in events))
    assert [found for found, text in recorder.failures if problem in text] == [row]
    assert [str(event["exception"]) for event in told.events if event["exception"]]
    assert not recorder.samples[JOB]
