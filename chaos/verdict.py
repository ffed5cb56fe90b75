"""Whether what clients received is what the contract promises. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.workload import Expected, JobPlan

BATCH_SIZE = 10

Events = Sequence[tuple[int, str]]


def check_subscriber(events: Events, reference: Events) -> list[str]:
    """Every event once and in order, with the same content as another subscriber of the job got."""
    found = []
    ids = [event_id for event_id, _ in events]
    if ids != list(range(1, len(ids) + 1)):
        found.append(f"event ids {ids} are not 1, 2, 3 ...")
    known = dict(reference)
    differing = [event_id for event_id, data in events if known.get(event_id, data) != data]
    if differing:
        found.append(f"events {differing} differ from what another subscriber got")
    return found


def check_whole(events: Events, plan: JobPlan) -> list[str]:
    """The batches of a job that has ended, and its final event."""
    if not events:
        return ["there are no events"]
    envelopes = [json.loads(data) for _, data in events]
    kinds = [envelope["event"] for envelope in envelopes]
    if kinds != ["batch_complete"] * (len(kinds) - 1) + ["complete"]:
        return [f"the events are {kinds}"]
    found = []
    batches = [envelope["data"] for envelope in envelopes[:-1]]
    if [batch["batch_number"] for batch in batches] != list(range(1, len(batches) + 1)):
        found.append(f"batch numbers are {[batch['batch_number'] for batch in batches]}")
    sizes = [len(batch["results"]) for batch in batches]
    if any(size != BATCH_SIZE for size in sizes[:-1]) or not 0 < sizes[-1] <= BATCH_SIZE:
        found.append(f"batch sizes are {sizes}")
    completed = [batch["progress"]["completed"] for batch in batches]
    if completed != [sum(sizes[: place + 1]) for place in range(len(sizes))]:
        found.append(f"progress counts {completed}, batches hold {sizes}")
    final = envelopes[-1]["data"]
    said = (final["status"], final["total_processed"], final["failed_items"])
    if said != ("completed", len(plan.items), plan.failures):
        found.append(f"the final event says {said}, not {('completed', len(plan.items), plan.failures)}")
    return found + check_results(results_in(events), plan)


def check_results(results: Sequence[dict[str, Any]], plan: JobPlan) -> list[str]:
    """Exactly one result an item, with its own student, made from its own text."""
    found = []
    counts = Counter(result["index"] for result in results)
    if missing := sorted(set(range(len(plan.items))) - set(counts)):
        found.append(f"items {missing} have no result")
    if more := {index: count for index, count in counts.items() if count > 1}:
        found.append(f"items with several results: {more}")
    for result in results:
        if not 0 <= result["index"] < len(plan.items):
            found.append(f"there is no item {result['index']}")
        elif fault := _fault(result, plan.expected[result["index"]]):
            found.append(f"item {result['index']}: {fault}")
    return found


def check_agreement(path: str, answers: Mapping[str, Any]) -> list[str]:
    """Whether all processes, by their URLs, answer the same about a job that has ended."""
    (first, reference), *others = answers.items()
    return [
        f"{path}: {url} answers {answer}, {first} {reference}"
        for url, answer in others
        if answer != reference
    ]


def check_claims(claims: int, disturbances: int) -> list[str]:
    """Whether a job changed hands no more often than something happened to who had it.

    ``disturbances``: faults of the round that can take a job from an orchestrator that lives. Each may do so
    twice, as one that lost its database may claim a job and lose it again.
    """
    if claims <= 1 + 2 * disturbances:
        return []
    return [f"it was claimed {claims} times, though only {disturbances} faults took jobs away"]


def results_in(events: Events) -> list[dict[str, Any]]:
    return [result for _, data in events for result in json.loads(data)["data"].get("results", [])]


def _fault(result: dict[str, Any], expected: Expected) -> str:
    if result["id_alumno"] != expected.id_alumno:
        return f"the student is {result['id_alumno']!r}, not {expected.id_alumno!r}"
    if (result["nota"], result["feedback"]) != (expected.nota, expected.feedback):
        got = (result["nota"], result["feedback"], result["error"])
        return f"got {got}, not {(expected.nota, expected.feedback)}"
    if result["status"] != ("failed" if expected.nota is None else "ok"):
        return f"the status is {result['status']!r} with mark {expected.nota}"
    return ""
