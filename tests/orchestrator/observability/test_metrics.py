"""What GET /metrics tells: the waits and the work as they were, and nothing of any student."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.broker import KEPT_FRAMES, Broker, Cursor, Topic
from orchestrator.config import Settings
from orchestrator.observability.metrics import CLOSED, CODES, OTHER, Metrics
from orchestrator.store import open_store
from orchestrator.store.notify import JobHint
from testkit.triton import TritonProcess
from tests.orchestrator.client import WAIT_S, make_items
from tests.orchestrator.conftest import Running, Start

LABELS = {
    "status": {"ok", "failed", "completed", "cancelled", *map(str, range(200, 600))},
    "attempts": {"0", "1", "2", "3", "4", "5+"},
    "code": {*CODES, OTHER},
    "cause": {*CODES, OTHER},
    "reason": set(CLOSED),
}
NUMBER = re.compile(r"[0-9.e+-]+|\+Inf")


async def page(client: Running) -> str:
    status, text, _ = await client.call("GET", "/metrics")
    assert status == 200
    return str(text)


async def values(client: Running) -> dict[str, float]:
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(await page(client))
    return {
        ",".join(
            [sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in families
        for sample in family.samples
    }


async def test_waits_deliveries_and_limits_are_counted(start: Start, scripted_triton: TritonProcess) -> None:
    """A job's wait counts once, an event once for each subscriber who was there, and the limits are shown."""
    async with start(
        scripted_triton, max_concurrent_jobs=1, max_queued_jobs=3, drain_timeout_s=0.0
    ) as client:
        first = await client.submit(make_items(1, "[[delay_ms=20000]]"))
        second = await client.submit(make_items(25))
        async with client.open_stream(second) as one, client.open_stream(second) as other:
            await anext(one)
            await anext(other)
            async with asyncio.timeout(WAIT_S):  # a job is taken up in its own time
                while (waiting := await values(client))["avalua_jobs_processing"] < 1:
                    pass
            await client.call("POST", f"/cancel/{first}")
            for subscriber in (one, other):
                async for heard in subscriber:
                    last = heard
        assert last.final["total_processed"] == 25
        await client.stream(second)  # too late to count
        after = await values(client)
    assert waiting["avalua_jobs_queued"] == 1
    assert waiting["avalua_jobs_processing"] == 1
    assert waiting["avalua_jobs_limit"] == 4
    assert waiting["avalua_items_in_flight_limit"] == client.service.settings.max_in_flight
    assert waiting["avalua_stream_subscribers"] == 2
    assert waiting["avalua_queue_wait_seconds_count"] == 1
    assert after["avalua_queue_wait_seconds_count"] == 2
    assert after["avalua_event_delivery_seconds_count"] == 2 * 4  # three batches and the end, to two
    assert 0 < after["avalua_event_delivery_seconds_sum"] < WAIT_S
    assert after["avalua_items_total,attempts=1,status=ok"] == 25


async def test_items_count_by_outcome_and_attempts(start: Start, scripted_triton: TritonProcess) -> None:
    """Marked at once, marked at the second try, given up after three, and never sent are told apart."""
    async with start(scripted_triton, max_attempts=3) as client:
        items = make_items(4)
        for item, text in zip(
            items, ("bé", f"[[garble_until=2]] {time.time()}", "[[garble]]", " "), strict=True
        ):
            item["respuesta"] = text
        await client.stream(await client.submit(items))
        after = await values(client)
    assert after["avalua_items_total,attempts=1,status=ok"] == 1
    assert after["avalua_items_total,attempts=2,status=ok"] == 1
    assert after["avalua_items_total,attempts=3,status=failed"] == 1
    assert after["avalua_items_total,attempts=0,status=failed"] == 1
    assert after["avalua_retries_total,cause=invalid_json"] == 3
    assert after["avalua_attempts_total"] == 6


async def test_a_busy_event_loop_shows(start: Start) -> None:
    """Something that keeps the loop from its work for half a second is seen by the next scrapes."""
    async with start() as client:
        before = await values(client)
        time.sleep(0.6)  # noqa: ASYNC251  this is what must not happen in the service
        async with asyncio.timeout(WAIT_S):
            while True:
                after = await values(client)
                late = [
                    now["avalua_event_loop_lag_seconds_count"]
                    - now["avalua_event_loop_lag_seconds_bucket,le=0.25"]
                    for now in (before, after)
                ]
                if late[1] > late[0]:
                    break


async def test_no_student_and_no_job_is_in_the_metrics(start: Start, scripted_triton: TritonProcess) -> None:
    """Whatever becomes of a text, neither page holds a word of it, a name, or the job's id."""
    words = ["Zzyzx", "Qwfpgj", "Brrmbl", "Xkcdqv", "joan_garcia_puig"]
    said = json.dumps({"nota": "Xkcdqv", "feedback": "Xkcdqv joan_garcia_puig"})
    raw = base64.b64encode(said.encode()).decode()
    texts = [
        "",
        "[[fail]]",
        "[[garble]]",
        "[[truncate]]",
        "[[nota=9]]",
        f"[[raw={raw}]]",
        "<start_of_turn>user",
    ]
    async with start(scripted_triton) as client:
        items = make_items(len(texts) + 1)
        for item, text in zip(items, [*texts, None], strict=True):
            item |= {"id_alumno": "Zzyzx", "curso": "Qwfpgj", "consigna": "Brrmbl [joan_garcia_puig] Qwfpgj"}
            item["respuesta"] = " " if text is None else f"Xkcdqv [joan_garcia_puig] Xkcdqv {text}"
        job = await client.submit(items, key="Zzyzx-Xkcdqv")
        heard = await client.stream(job)
        for path in (f"/status/{job}", "/status/Zzyzx", "/Xkcdqv", f"/results/{job}?format=csv"):
            await client.call("GET", path)
        ours = await page(client)
        async with client.session.get(scripted_triton.metrics_url) as answer:
            tritons = await answer.text()
        routes = {route.resource.canonical for route in client.service_routes} | {"unknown"}
    assert "Xkcdqv" in str(heard.results)
    for text in (ours, tritons):
        for word in (*words, job, job[:8], job[-12:]):
            assert word.casefold() not in re.sub(r"[\d.e+-]+$", "", text, flags=re.M).casefold(), word
    for family in text_string_to_metric_families(ours):
        for sample in family.samples:
            for name, value in sample.labels.items():
                if name == "le":
                    assert NUMBER.fullmatch(value)
                elif name == "server":
                    assert value == scripted_triton.grpc_url
                else:
                    assert value in (routes if name == "route" else LABELS[name]), (name, value)


def test_a_code_that_is_not_ours_becomes_no_label() -> None:
    """What only looks like a code, in a message that quotes a text, is counted as another one."""
    metrics = Metrics()
    metrics.finished(1, "joan_garcia_puig")
    metrics.retried("joan_garcia_puig")
    text = metrics.render().decode()
    assert "joan" not in text
    assert f'avalua_item_failures_total{{code="{OTHER}"}} 1.0' in text
    assert f'avalua_retries_total{{cause="{OTHER}"}} 1.0' in text


def test_a_subscriber_far_behind_is_timed_too() -> None:
    """Times of commit outlive the events kept in memory: who reads slowly is the one to be seen."""
    topic = Topic(5, terminal=False)
    many = 2 * KEPT_FRAMES
    for number in range(6, 6 + many):
        topic.publish(((number, b"{}"),), JobHint("j", number, terminal=False), float(number))
    assert list(topic.committed_at(5, 8)) == [6.0, 7.0, 8.0]
    assert list(topic.committed_at(0, 7)) == [6.0, 7.0]
    assert list(topic.committed_at(5 + many - 1, 5 + many)) == [5.0 + many]
    assert list(topic.committed_at(0, 5)) == []


async def test_what_was_there_before_the_subscriber_is_not_timed(tmp_path: Path) -> None:
    """A cursor tells the age of each event that was committed while it listened, once, after it was read."""
    async with open_store(Settings(database_url=f"sqlite:///{tmp_path}/jobs.sqlite3")) as store:
        broker, topic = Broker(store, 1.0), Topic(0, terminal=False)
        for number in (1, 2, 3):
            topic.publish(((number, b"{}"),), JobHint("j", number, terminal=False), 10.0 * number)
        cursor = Cursor(broker, store, topic, "j", after=1)
        assert len(await cursor.read()) == 2
        assert cursor.written(now=99.0) == []
        topic.publish(((4, b"{}"), (5, b"{}")), JobHint("j", 5, terminal=False), 40.0)
        assert cursor.written(now=99.0) == []
        assert len(await cursor.read()) == 2
        assert cursor.written(now=41.0) == [1.0, 1.0]
        assert cursor.written(now=42.0) == []
