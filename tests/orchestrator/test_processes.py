"""Several orchestrators on one PostgreSQL: each that has the API serves every job, whoever works on it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from orchestrator.config import Settings
from orchestrator.store import open_store
from testkit.postgres import PostgresServer
from testkit.proxy import Proxy
from testkit.triton import TritonProcess
from tests.orchestrator.client import WAIT_S, make_items
from tests.orchestrator.conftest import Running, Start
from tests.orchestrator.store.conftest import IDLE

API, WORKER = ("api",), ("worker",)


async def until_ready(client: Running, status: int = 200) -> None:
    """Returns once it would take a job, or no longer would."""
    async with asyncio.timeout(WAIT_S):
        while (await client.call("GET", "/health/ready"))[0] != status:  # noqa: ASYNC110  it has to be asked
            await asyncio.sleep(0.05)


async def until_active(client: Running, jobs: int) -> dict[str, Any]:
    """What /health says once so many jobs are worked on."""
    async with asyncio.timeout(WAIT_S):
        while True:
            _, health, _ = await client.call("GET", "/health")
            if health["active_jobs"] == jobs:
                return dict(health)


async def test_a_job_is_served_by_who_does_not_work_on_it(
    start: Start, scripted_triton: TritonProcess, postgres: PostgresServer
) -> None:
    """Posted to one process, marked by another one, streamed live and reported by the first and a third."""
    url = postgres.create_database()
    async with (
        start(roles=API, database_url=url) as api,
        start(roles=API, database_url=url) as other,
        start(scripted_triton, roles=WORKER, database_url=url),
    ):
        await until_ready(api)
        job_id = await api.submit(make_items(35) + make_items(5, "[[delay_ms=1500]]"))
        streams = [asyncio.create_task(client.stream(job_id)) for client in (api, other, other)]
        first = await other.stream(job_id, events=1)
        _, status, _ = await other.call("GET", f"/status/{job_id}")
        assert status["status"] == "processing"
        assert len(first.results) == 10
        heard = await asyncio.gather(*streams)
        assert heard[0].events == heard[1].events == heard[2].events
        assert heard[0].ids == [1, 2, 3, 4, 5]
        assert heard[0].final["total_processed"] == 40
        for client in (api, other):
            _, results, _ = await client.call("GET", f"/results/{job_id}")
            assert len(results["results"]) == 40
            assert (await client.call("GET", f"/stream/{job_id}?last_event_id=5"))[0] == 204


async def test_a_job_is_cancelled_by_who_does_not_work_on_it(
    start: Start, scripted_triton: TritonProcess, postgres: PostgresServer
) -> None:
    """The answer comes when its worker has ended it; asked at once at two processes, it is the same."""
    url = postgres.create_database()
    settings = {"database_url": url, "drain_timeout_s": 0.0, "poll_s": 30.0}
    async with (
        start(roles=API, **settings) as api,
        start(roles=API, **settings) as other,
        start(scripted_triton, roles=WORKER, **settings) as worker,
    ):
        await until_ready(api)
        job_id = await api.submit(make_items(13) + make_items(20, "[[delay_ms=20000]]"))
        reader = asyncio.create_task(other.stream(job_id))
        await api.stream(job_id, events=1)
        answers = await asyncio.gather(
            *(client.call("POST", f"/cancel/{job_id}") for client in (api, other, api))
        )
        assert [(status, body["status"]) for status, body, _ in answers] == [(202, "cancelled")] * 3
        assert answers[0][1] == answers[1][1] == answers[2][1]
        heard = await reader
        assert heard.final["status"] == "cancelled"
        assert heard.final["total_processed"] == len(heard.results) >= 10
        assert (await worker.call("GET", "/metrics"))[1].count(
            'avalua_jobs_total{status="cancelled"} 1.0'
        ) == 1


async def test_a_waiting_job_cancelled_twice_at_once_ends_once(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Both are answered alike, and one end is counted."""
    async with start(scripted_triton, max_concurrent_jobs=1, drain_timeout_s=0.0) as client:
        running = await client.submit(make_items(5, "[[delay_ms=20000]]"))
        waiting = await client.submit(make_items(5))
        for job_id in (waiting, running):
            answers = await asyncio.gather(*(client.call("POST", f"/cancel/{job_id}") for _ in range(4)))
            assert {body["status"] for _, body, _ in answers} == {"cancelled"}
            assert all(answer[1] == answers[0][1] for answer in answers)
            assert (await client.stream(job_id)).final["status"] == "cancelled"
        assert 'avalua_jobs_total{status="cancelled"} 2.0' in (await client.call("GET", "/metrics"))[1]


async def test_each_role_serves_what_is_its_own(
    start: Start, scripted_triton: TritonProcess, postgres: PostgresServer
) -> None:
    """A worker alone has health and metrics; who has the API takes jobs once some worker's model answers."""
    url = postgres.create_database()
    async with start(roles=API, database_url=url) as api:
        status, body, headers = await api.call("POST", "/evaluate", json={"items": make_items(1)})
        assert (status, body["code"]) == (503, "model_not_loaded")
        assert headers["Retry-After"]
        assert (await api.call("GET", "/health/ready"))[0] == 503
        status, health, _ = await api.call("GET", "/health")
        assert (status, health["roles"], health["workers"]) == (503, ["api"], 0)
        assert health["model_loaded"] is False
        async with start(scripted_triton, roles=WORKER, database_url=url) as worker:
            for path in ("/health", "/health/live", "/metrics"):
                assert (await worker.call("GET", path))[0] == 200
            for path in ("/", "/docs", "/status/x", "/openapi.json"):
                status, body, _ = await worker.call("GET", path)
                assert (status, body["code"]) == (404, "not_found")
            await until_ready(api)
            await until_ready(worker)
            job_id = await api.submit(make_items(3, "[[delay_ms=3000]]"))
            for client in (api, worker):
                health = await until_active(client, 1)
                assert (health["queued_jobs"], health["workers"]) == (0, 1)
                assert health["model_loaded"] is True
            assert (await api.stream(job_id)).final["failed_items"] == 0
        # It was loaded once: jobs are taken, and wait for a worker.
        assert (await api.call("GET", "/health/ready"))[0] == 200
        assert (await api.call("GET", "/health"))[1]["workers"] == 0


async def test_health_tells_that_the_database_is_away(
    start: Start, scripted_triton: TritonProcess, own_postgres: PostgresServer
) -> None:
    """What is known is said with 503, also where nothing is being written; afterwards all is as before."""
    url = own_postgres.create_database()
    async with (
        start(scripted_triton, database_url=url, database_timeout_s=2.0) as client,
        start(roles=API, database_url=url, database_timeout_s=2.0) as api,
    ):
        for each in (client, api):
            await until_ready(each)
        own_postgres.kill()
        for each in (api, client):
            await until_ready(each, 503)
            status, health, _ = await each.call("GET", "/health")
            assert (status, health["status"], health["storage"]) == (503, "unhealthy", "unavailable")
            assert (await each.call("GET", "/health/live"))[0] == 200
            assert (await each.call("GET", "/metrics"))[0] == 200
            status, body, _ = await each.call("POST", "/evaluate", json={"items": make_items(1)})
            assert (status, body["code"]) == (503, "storage_unavailable")
        assert health["model_loaded"] is True
        own_postgres.start()
        for each in (api, client):
            await until_ready(each)
        assert (await api.stream(await api.submit(make_items(3)))).final["failed_items"] == 0


async def test_a_cancel_does_not_wait_for_ever_for_a_worker_that_is_stopped(
    start: Start, scripted_triton: TritonProcess, postgres: PostgresServer
) -> None:
    """The answer says how the job stands; it ends when its claim has lapsed, without being marked."""
    settings: dict[str, Any] = {"database_url": postgres.create_database(), "lease_s": 4.0}
    async with (
        start(roles=API, database_timeout_s=1.0, **settings) as api,
        open_store(Settings(**settings)) as stopped,
    ):
        await stopped.claims.beat("stopped", replace(IDLE, triton_loaded=True), ())
        await until_ready(api)
        job_id = await api.submit(make_items(3))
        assert len(await stopped.claims.claim("stopped", max_jobs=5)) == 1
        for _ in range(2):
            status, body, _ = await api.call("POST", f"/cancel/{job_id}")
            assert (status, body["status"]) == (202, "queued")
        async with start(scripted_triton, roles=WORKER, **settings):
            heard = await api.stream(job_id)
        assert (heard.final["status"], heard.final["total_processed"]) == ("cancelled", 0)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Returns once it is so; it has to be asked."""
    async with asyncio.timeout(WAIT_S):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_worker_that_has_no_job_any_more_lets_others_try_their_suspects(
    start: Start, own_scripted_triton: TritonProcess, postgres: PostgresServer
) -> None:
    """Only one worker tries suspects at a time: one whose last job has ended must not keep that to itself."""
    url = postgres.create_database()
    database = await asyncpg.connect(url.replace("+asyncpg", ""))

    async def isolating() -> bool:
        return bool(await database.fetchval("SELECT count(*) FROM workers WHERE isolating"))

    async def in_flight() -> bool:
        return bool((await client.call("GET", "/health"))[1]["items_in_flight"] == 3)

    async def not_isolating() -> bool:
        return not await isolating()

    try:
        async with start(own_scripted_triton, database_url=url) as client:
            job_id = await client.submit(make_items(3, "[[hang]]"))
            await until(in_flight)
            await asyncio.to_thread(own_scripted_triton.kill)
            await asyncio.to_thread(own_scripted_triton.start)
            await until(isolating)
            assert (await client.call("POST", f"/cancel/{job_id}"))[0] == 202
            await until(not_isolating)
    finally:
        await database.close()


async def test_a_database_that_is_away_for_longer_than_a_lease(
    start: Start, scripted_triton: TritonProcess, own_postgres: PostgresServer
) -> None:
    """All workers have given their jobs up by then; when it is back, they are worked on to their ends."""
    settings: dict[str, Any] = {"lease_s": 2.0, "database_timeout_s": 0.5, "poll_s": 0.2}
    url = own_postgres.create_database()
    async with start(scripted_triton, database_url=url, **settings) as client:
        job_id = await client.submit(make_items(12, "[[delay_ms=4000]]"))

        async def working() -> bool:
            return bool(client.service.drain.in_flight)

        async def given_up() -> bool:
            return not client.service.drain.in_flight

        await until(working)
        own_postgres.pause()
        try:
            await until(given_up)
        finally:
            own_postgres.resume()
        heard = await client.stream(job_id)
    assert heard.final["status"] == "completed"
    assert (heard.final["total_processed"], heard.final["failed_items"]) == (12, 0)


@dataclass(frozen=True)
class Relayed:
    """A Triton behind a relay."""

    grpc_url: str
    metrics_url: str


async def test_a_worker_that_reaches_no_triton_leaves_jobs_to_those_that_do(
    start: Start, scripted_triton: TritonProcess, postgres: PostgresServer
) -> None:
    """It claims none, keeps no places, and after a while gives back those that it had."""
    settings: dict[str, Any] = {
        "database_url": postgres.create_database(), "suspect_wait_s": 1.0, "probe_interval_s": 0.3,
        "probe_timeout_s": 0.5, "poll_s": 0.2, "max_in_flight": 8,
    }  # fmt: skip
    database = await asyncpg.connect(settings["database_url"].replace("+asyncpg", ""))

    async def both_up() -> bool:
        return bool(await database.fetchval("SELECT count(*) FROM workers WHERE triton_up") == 2)

    async with (
        start(scripted_triton, **settings) as good,
        Proxy(scripted_triton.grpc_port) as proxy,
        start(Relayed(proxy.address, scripted_triton.metrics_url), **settings) as bad,
    ):
        # One that is not known to be up yet is left no job.
        await until(both_up)
        await database.close()
        jobs = [await good.submit(make_items(16, "[[delay_ms=500]]")) for _ in range(4)]

        async def both_work() -> bool:
            return bool(good.service.drain.in_flight and bad.service.drain.in_flight)

        await until(both_work)
        proxy.block()
        later = [await good.submit(make_items(4)) for _ in range(2)]
        async with asyncio.timeout(60):
            heard = [await good.stream(job_id) for job_id in (*jobs, *later)]
        proxy.heal()
    assert [one.final["status"] for one in heard] == ["completed"] * 6
    assert {one.final["failed_items"] for one in heard} == {0}
