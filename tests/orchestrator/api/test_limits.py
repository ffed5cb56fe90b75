"""How many jobs, whose turn it is, and what is remembered of a job: queue, fairness, keys, expiry."""

import asyncio

from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start

SLOW = "[[delay_ms=20000]]"  # still at work, whatever else this machine does


async def test_beyond_the_queue_is_429_with_retry_after(start: Start, scripted_triton: TritonProcess) -> None:
    """One job runs, one waits, the third is refused; when the first has ended there is room again."""
    async with start(scripted_triton, max_concurrent_jobs=1, max_queued_jobs=1) as client:
        running = await client.submit(make_items(10, SLOW))
        waiting = await client.submit(make_items(10))
        status, body, headers = await client.call("POST", "/evaluate", json={"items": make_items(1)})
        assert (status, body["code"]) == (429, "too_many_jobs")
        assert 1 <= int(headers["Retry-After"]) <= 60
        _, health, _ = await client.call("GET", "/health")
        assert health["active_jobs"] + health["queued_jobs"] == 2  # the first may not have been taken up yet
        await client.call("POST", f"/cancel/{running}")
        third = await client.submit(make_items(1))
        for job_id in (waiting, third):
            assert (await client.stream(job_id)).final["status"] == "completed"


async def test_a_burst_of_posts_does_not_get_past_the_limit(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Places are counted before the job is written, so that many at once can't share one."""
    async with start(
        scripted_triton, max_concurrent_jobs=1, max_queued_jobs=2, drain_timeout_s=0.0
    ) as client:
        body = {"items": make_items(5, SLOW)}
        answers = await asyncio.gather(*(client.call("POST", "/evaluate", json=body) for _ in range(12)))
    assert sorted(status for status, _, _ in answers) == [202] * 3 + [429] * 9


async def test_a_waiting_job_can_be_cancelled(start: Start, scripted_triton: TritonProcess) -> None:
    """It ends without having run: one final event, no results."""
    async with start(scripted_triton, max_concurrent_jobs=1, drain_timeout_s=0.0) as client:
        await client.submit(make_items(5, SLOW))
        job_id = await client.submit(make_items(5))
        status, body, _ = await client.call("POST", f"/cancel/{job_id}")
        assert (status, body["status"], body["started_at"]) == (202, "cancelled", None)
        heard = await client.stream(job_id)
    assert heard.ids == [1]
    assert (heard.final["status"], heard.final["total_processed"]) == ("cancelled", 0)


async def test_a_small_job_does_not_wait_for_a_large_one(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Ten items posted behind 600 are answered within a few rounds of the window, not after the 600."""
    async with start(scripted_triton, max_in_flight=40) as client:
        large = await client.submit(make_items(600, "[[delay_ms=100]]"), priority="bulk")
        await client.stream(large, events=1)
        small = await client.submit(make_items(10, "[[delay_ms=100]]"), priority="interactive")
        await client.stream(small)
        _, body, _ = await client.call("GET", f"/status/{large}")
        # 40 at a time: two rounds finish 80 items; anything near 600 would mean that the small one waited
        assert body["progress"]["completed"] < 300
        assert body["status"] == "processing"
        await client.call("POST", f"/cancel/{large}")


async def test_long_texts_fill_the_window_by_their_length(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Of texts of 600 characters two are in flight where 1000 may be, and all are marked in the end."""
    long = "[[delay_ms=50]] " + "mot " * 150
    async with start(scripted_triton, max_chars_in_flight=1000, batch_size=1) as client:
        job_id = await client.submit(make_items(12, long))
        for number in range(1, 12):
            await client.stream(job_id, events=number)
            assert client.service.drain.in_flight <= 2
        assert (await client.stream(job_id)).final["failed_items"] == 0


async def test_an_idempotency_key_makes_one_job(start: Start, scripted_triton: TritonProcess) -> None:
    """The same key and body: the first job again, also at the same time and laid out differently."""
    items = make_items(3)
    async with start(scripted_triton) as client:
        first = await asyncio.gather(*(client.submit(items, key="k-1") for _ in range(6)))
        assert len(set(first)) == 1
        other_layout = await client.submit([dict(reversed(item.items())) for item in items], key="k-1")
        assert other_layout == first[0]
        heard = await client.stream(first[0])
        assert len(heard.results) == 3
        assert await client.submit(items, key="k-1") == first[0]
        assert await client.submit(items, key="k-2") != first[0]
        status, body, _ = await client.call(
            "POST", "/evaluate", json={"items": make_items(4)}, headers={"Idempotency-Key": "k-1"}
        )
        assert (status, body["code"]) == (409, "idempotency_key_reused")
        status, body, _ = await client.call(
            "POST", "/evaluate", json={"items": items}, headers={"Idempotency-Key": "x" * 256}
        )
        assert (status, body["code"]) == (400, "invalid_idempotency_key")


async def test_a_key_answers_also_when_the_queue_is_full(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """A client that repeats its POST after a lost answer finds its job, however busy we are."""
    async with start(
        scripted_triton, max_concurrent_jobs=1, max_queued_jobs=0, drain_timeout_s=0.0
    ) as client:
        items = make_items(5, SLOW)
        job_id = await client.submit(items, key="k")
        assert (await client.call("POST", "/evaluate", json={"items": make_items(1)}))[0] == 429
        assert await client.submit(items, key="k") == job_id


async def test_an_expired_job_is_410_and_then_purged(start: Start, scripted_triton: TritonProcess) -> None:
    """Expired is told from unknown, before and after the purge; its key is free; at last it is unknown."""
    async with start(scripted_triton, job_ttl_seconds=1, purge_interval_s=3600) as client:
        items = make_items(25)
        job_id = await client.submit(items, key="k")
        await client.stream(job_id)
        store = client.service.store
        assert len(await store.reading.events(job_id, 0)) == 4
        await until_expired(client.service.settings.job_ttl_seconds)
        for call, path in (("GET", "stream"), ("GET", "status"), ("GET", "results"), ("POST", "cancel")):
            status, body, _ = await client.call(call, f"/{path}/{job_id}")
            assert (status, body["code"]) == (410, "job_expired")
        assert await client.submit(items, key="k") != job_id
        while await store.purge.step(store.clock.now(), 3600):
            pass
        assert await store.reading.events(job_id, 0) == []
        assert (await client.call("GET", f"/status/{job_id}"))[0] == 410
        while await store.purge.step(store.clock.now() + 3601, 3600):
            pass
        assert (await client.call("GET", f"/status/{job_id}"))[0] == 404


async def until_expired(ttl_s: float) -> None:
    # Expiry is a matter of the clock, and nothing tells of it.
    await asyncio.sleep(ttl_s)


async def test_texts_stay_until_their_job_expires(start: Start, scripted_triton: TritonProcess) -> None:
    """Exports can have them as long as they have marks; then all that students wrote is deleted."""
    async with start(scripted_triton, purge_interval_s=3600, job_ttl_seconds=3600) as client:
        job_id = await client.submit(make_items(150))
        await client.stream(job_id)
        store = client.service.store
        while await store.purge.step(store.clock.now(), 7200):
            pass
        assert len(await store.reading.items(job_id)) == 150
        assert len((await client.call("GET", f"/results/{job_id}"))[1]["results"]) == 150
        while await store.purge.step(store.clock.now() + 3601, 7200):
            pass
        assert await store.reading.items(job_id) == []
        assert await store.reading.events(job_id, 0) == []
