"""What clients received is judged rightly: each kind of fault is seen, and a faultless job passes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chaos.verdict import check_agreement, check_claims, check_results, check_subscriber, check_whole
from chaos.workload import Expected, JobPlan

COUNT = 13
PLAN = JobPlan(
    name="R1J0",
    items=tuple({"id_alumno": f"A{index}"} for index in range(COUNT)),
    expected=(
        *(Expected(f"A{index}", 3, f"Resposta: W{index}") for index in range(COUNT - 1)),
        Expected(f"A{COUNT - 1}", None, None),
    ),
    priority="normal",
    poison=1,
)


def make_results() -> list[dict[str, Any]]:
    """One right result an item."""
    return [
        {
            "index": index,
            "id_alumno": entry.id_alumno,
            "nota": entry.nota,
            "feedback": entry.feedback,
            "status": "ok" if entry.nota is not None else "failed",
            "error": None,
        }
        for index, entry in enumerate(PLAN.expected)
    ]


def make_events(results: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Batches of ten and a final event, as the service would send them."""
    envelopes: list[dict[str, Any]] = []
    for number, start in enumerate(range(0, len(results), 10), 1):
        batch = results[start : start + 10]
        progress = {"completed": start + len(batch)}
        data = {"batch_number": number, "results": batch, "progress": progress}
        envelopes.append({"event": "batch_complete", "data": data})
    final = {"status": "completed", "total_processed": len(results), "failed_items": 1}
    envelopes.append({"event": "complete", "data": final})
    return [(number, json.dumps(envelope)) for number, envelope in enumerate(envelopes, 1)]


def test_a_faultless_job_passes() -> None:
    """Nothing is held against a job of two batches, one of whose items failed as it had to."""
    events = make_events(make_results())
    assert check_whole(events, PLAN) == []
    assert check_subscriber(events, events) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[0].update(id_alumno="A1"), "item 0: the student is 'A1'"),
        (lambda rows: rows[0].update(feedback="Resposta: W1"), "item 0: got"),
        (lambda rows: rows[0].update(nota=5), "item 0: got"),
        (lambda rows: rows[0].update(nota=None, feedback=None, status="failed"), "item 0: got"),
        (lambda rows: rows[12].update(nota=3, feedback="Resposta: W12"), "item 12: got"),
        (lambda rows: rows[12].update(status="ok"), "item 12: the status is 'ok'"),
        (lambda rows: rows.append(rows[3]), "items with several results: {3: 2}"),
        (lambda rows: rows.pop(5), "items [5] have no result"),
        (lambda rows: rows[4].update(index=99), "there is no item 99"),
    ],
)
def test_a_wrong_result_is_seen(change: Any, said: str) -> None:
    """A result that is not its student's, is missing, or comes twice."""
    results = make_results()
    change(results)
    assert any(text.startswith(said) for text in check_results(results, PLAN))


def test_wrong_batches_are_seen() -> None:
    """A batch that is lost or comes again, and a second or missing final event."""
    events = make_events(make_results())
    assert check_whole([events[0], events[2]], PLAN)
    assert check_whole([events[0], events[0], *events[1:]], PLAN)
    assert check_whole(events[:-1], PLAN)
    assert check_whole([*events, events[-1]], PLAN)
    assert check_whole([], PLAN)


def test_subscribers_that_disagree_are_seen() -> None:
    """Ids with a hole, and one id with two contents."""
    events = make_events(make_results())
    assert check_subscriber([events[0], events[2]], events)
    assert check_subscriber([(1, "other"), *events[1:]], events)


def test_processes_that_disagree_are_seen() -> None:
    """Each that answers otherwise than the first one is named."""
    same = {"http://a": {"status": "completed"}, "http://b": {"status": "completed"}}
    assert check_agreement("/status/x", same) == []
    (found,) = check_agreement("/status/x", {**same, "http://c": {"status": "processing"}})
    assert found.startswith("/status/x: http://c answers {'status': 'processing'}, http://a")


def test_a_job_that_changes_hands_for_nothing_is_seen() -> None:
    """One claim is enough where nothing happened; each fault may cost two more."""
    assert check_claims(1, 0) == check_claims(3, 1) == check_claims(5, 2) == []
    assert check_claims(2, 0) == ["it was claimed 2 times, though only 0 faults took jobs away"]
    assert check_claims(4, 1)
