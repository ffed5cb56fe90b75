"""Subscribers: kept alive, forgotten when they vanish, and no burden when they are slow."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.feed import Cursor
from orchestrator.jobs import Job
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Running, Start
from tests.triton_process import TritonProcess


async def test_comments_keep_a_quiet_stream_alive(start: Start, scripted_triton: TritonProcess) -> None:
    """While no batch is ready, comments come, and the stream then goes on as if nothing was."""
    async with start(scripted_triton, sse_ping_s=0.1) as client:
        heard = await client.stream(await client.submit(make_items(1, "[[delay_ms=1000]]")))
    assert len(heard.comments) >= 2
    assert heard.ids == [1, 2]


async def raw_subscriber(client: Running, job_id: str) -> socket.socket:
    """A subscriber that reads nothing, with as little room on its side as the system allows."""
    host, port = client.base.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.setblocking(False)
    await loop.sock_connect(sock, (host, int(port)))
    await loop.sock_sendall(sock, f"GET /stream/{job_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return sock


class Crowd:
    """Counts a service's subscribers, and tells when there are so many."""

    def __init__(self, client: Running) -> None:
        self._feed = client.service.feed
        self._subscribe = self._feed.subscribe
        self._moved = asyncio.Condition()
        self._feed.subscribe = self._watched  # type: ignore[method-assign]

    @asynccontextmanager
    async def _watched(self, job: Job, after: int) -> AsyncIterator[Cursor]:
        try:
            async with self._subscribe(job, after) as cursor:
                await self._tell()
                yield cursor
        finally:
            await self._tell()

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    async def until(self, count: int) -> None:
        """Returns once there are ``count``. A client that vanished has to be found out by the service."""
        async with asyncio.timeout(20), self._moved:
            await self._moved.wait_for(lambda: self._feed.subscribers == count)


async def test_a_client_that_vanishes_is_forgotten(start: Start, scripted_triton: TritonProcess) -> None:
    """Its cursor goes with it, and the job goes on for the others."""
    async with start(scripted_triton, sse_ping_s=0.1) as client:
        job_id = await client.submit(make_items(5, "[[delay_ms=1500]]"))
        crowd = Crowd(client)
        sock = await raw_subscriber(client, job_id)
        await crowd.until(1)
        sock.close()
        await crowd.until(0)
        heard = await client.stream(job_id)
    assert heard.final["status"] == "completed"


async def test_readers_that_do_not_read_hold_nobody_up(start: Start, scripted_triton: TritonProcess) -> None:
    """Jobs run and others are served while many never read; they are cut off after a while."""
    async with start(scripted_triton, sse_send_timeout_s=1.0, sse_ping_s=0.2) as client:
        crowd = Crowd(client)
        job_id = await client.submit(make_items(2000, "x" * 300))
        idle = [await raw_subscriber(client, job_id) for _ in range(20)]
        heard = await client.stream(job_id)
        assert len(heard.results) == 2000
        for sock in idle:
            sock.close()
        await crowd.until(0)


async def test_fifty_subscribers_see_the_same(start: Start, scripted_triton: TritonProcess) -> None:
    """Early or late, every subscriber gets the same bytes."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(300, "[[delay_ms=20]]"))
        early = [asyncio.create_task(client.stream(job_id)) for _ in range(25)]
        await client.stream(job_id, events=10)
        late = [asyncio.create_task(client.stream(job_id)) for _ in range(25)]
        heard = await asyncio.gather(*early, *late)
    assert len({json.dumps(each.events) for each in heard}) == 1
    assert len(heard[0].results) == 300


async def test_cross_origin_use_is_a_setting(start: Start, scripted_triton: TritonProcess) -> None:
    """Allowed origins are answered on every call, streams and errors included; others are not."""
    origin = "https://escola.example"
    async with start(scripted_triton, cors_origins=(origin,)) as client:
        job_id = await client.submit(make_items(1))
        for path in (f"/stream/{job_id}", "/status/none"):
            _, _, headers = await client.call("GET", path, headers={"Origin": origin})
            assert headers["Access-Control-Allow-Origin"] == origin
        _, _, headers = await client.call("GET", "/health", headers={"Origin": "https://other.example"})
        assert "Access-Control-Allow-Origin" not in headers
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        status, _, headers = await client.call("OPTIONS", "/evaluate", headers=asked)
        assert status == 204
        assert "Idempotency-Key" in headers["Access-Control-Allow-Headers"]
        status, _, _ = await client.call(
            "OPTIONS", "/evaluate", headers={**asked, "Origin": "https://x.example"}
        )
        assert status == 403


async def test_the_api_describes_itself_without_the_internet(start: Start) -> None:
    """/docs loads nothing from elsewhere, every schema is used, and every route is described."""
    async with start(model_notice="Demo model: marks mean nothing.") as client:
        status, page, _ = await client.call("GET", "/docs")
        assert status == 200
        assert "//" not in page.replace("<!DOCTYPE", "")
        assert "Demo model: marks mean nothing." in page
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert f"docs/{asset}" in page
            assert (await client.call("GET", f"/docs/{asset}"))[0] == 200
        assert (await client.call("GET", "/docs/LICENSE"))[0] == 404
        _, spec, _ = await client.call("GET", "/openapi.json")
        _, health, _ = await client.call("GET", "/health")
    assert health["notice"] == "Demo model: marks mean nothing."
    text = json.dumps(spec)
    for name in spec["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in text
    assert text.count("#/components/schemas/") >= len(spec["components"]["schemas"])
    routes = {route.resource.canonical for route in client.service_routes}
    assert routes - {"/", "/web/{asset}", "/openapi.json", "/docs", "/docs/{asset}"} == set(spec["paths"])


async def test_metrics_tell_what_happened(start: Start, scripted_triton: TritonProcess) -> None:
    """Counters follow a job, and no label holds anything of a student."""
    async with start(scripted_triton) as client:
        items = make_items(4)
        items[0]["respuesta"] = " "
        await client.stream(await client.submit(items))
        _, text, headers = await client.call("GET", "/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    assert 'avalua_items_total{attempts="1",status="ok"} 3.0' in text
    assert 'avalua_item_failures_total{code="blank_answer"} 1.0' in text
    assert 'avalua_jobs_total{status="completed"} 1.0' in text
    assert "avalua_triton_up 1.0" in text
    assert "Mot" not in text
    assert "A0" not in text
