"""Subscribers: kept alive, forgotten when they vanish, and no burden when they are slow."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.broker import Cursor
from orchestrator.jobs import Job
from testkit.triton import ROOT, TritonProcess
from tests.orchestrator.client import WAIT_S, make_items
from tests.orchestrator.conftest import Running, Start
from tests.orchestrator.raw import connected, head


async def test_comments_keep_a_quiet_stream_alive(start: Start, scripted_triton: TritonProcess) -> None:
    """While no batch is ready, comments come, and the stream then goes on as if nothing was."""
    async with start(scripted_triton, sse_ping_s=0.1) as client:
        heard = await client.stream(await client.submit(make_items(1, "[[delay_ms=1000]]")))
    assert len(heard.comments) >= 2
    assert heard.ids == [1, 2]


async def test_lines_are_cut_only_where_they_end(start: Start, scripted_triton: TritonProcess) -> None:
    """Separators beyond ASCII are escaped in events and NDJSON, so that readers of lines find each whole."""
    items = make_items(1)
    items[0]["id_alumno"] = "A\u2028B\u0085C\u2029D\x0bE\x1cF"
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        heard = await client.stream(job_id)
        _, stream, headers = await client.call("GET", f"/stream/{job_id}")
        _, lines, _ = await client.call("GET", f"/results/{job_id}?format=ndjson")
    assert heard.results[0]["id_alumno"] == items[0]["id_alumno"]
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    data = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    assert [json.loads(line) for line in data] == heard.events
    assert json.loads(data[0])["data"]["results"][0]["id_alumno"] == items[0]["id_alumno"]
    assert [json.loads(line)["id_alumno"] for line in lines.splitlines()] == [items[0]["id_alumno"]]


async def test_retry_rides_with_the_first_event(start: Start, scripted_triton: TritonProcess) -> None:
    """No block of a stream is without data, and each connection is told once when to come back."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(12))
        await client.stream(job_id)
        for path in (f"/stream/{job_id}", f"/stream/{job_id}?last_event_id=2"):
            _, stream, _ = await client.call("GET", path)
            blocks = stream.removesuffix("\n\n").split("\n\n")
            assert all("\ndata: " in block for block in blocks)
            assert ["retry: 2000" in block.split("\n") for block in blocks] == [True] + [False] * (
                len(blocks) - 1
            )


async def test_a_stream_is_open_before_its_first_event(start: Start, scripted_triton: TritonProcess) -> None:
    """Its headers come at once, and comments after a while, though no batch is ready yet."""
    async with start(scripted_triton, sse_ping_s=0.1) as client:
        job_id = await client.submit(make_items(1, "[[delay_ms=1500]]"))
        async with client.session.get(f"{client.base}/stream/{job_id}") as answer:
            assert (await client.call("GET", f"/status/{job_id}"))[1]["progress"]["completed"] == 0
            assert (await answer.content.readline()).startswith(b":")


async def test_the_example_shows_a_class(start: Start, scripted_triton: TritonProcess) -> None:
    """The example of a client shows every mark of a file."""
    command = [sys.executable, "-m", "examples.grade", "examples/class.csv", "--url"]
    async with start(scripted_triton) as client:
        example = await asyncio.create_subprocess_exec(
            *command, client.base, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(WAIT_S):
            out, err = await example.communicate()
    assert example.returncode == 0, err.decode()
    assert "Batch 3: 25 of 25 done" in out.decode()
    assert "completed: 25 texts" in out.decode()


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
        self._broker = client.service.broker
        self._subscribe = self._broker.subscribe
        self._moved = asyncio.Condition()
        self._broker.subscribe = self._watched  # type: ignore[method-assign]

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
            await self._moved.wait_for(lambda: self._broker.subscribers == count)


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
    assert f'avalua_triton_up{{server="{scripted_triton.grpc_url}"}} 1.0' in text
    assert "Mot" not in text
    assert "A0" not in text


async def purge_all(client: Running) -> None:
    """Everything that has ended expires, and is deleted as the sweeper does it."""
    store = client.service.store
    while await store.purge.step(store.clock.now() + 3601, 7200):
        pass


async def test_a_stream_across_the_expiry_says_so(start: Start, scripted_triton: TritonProcess) -> None:
    """What was deleted is no silent gap: a last message without id, then the end; who comes back gets 410."""
    async with start(scripted_triton, batch_size=1, purge_interval_s=3600) as client:
        job_id = await client.submit(make_items(300))
        assert len((await client.stream(job_id)).ids) == 301
        store = client.service.store
        while len(await store.reading.events(job_id, 0)) == 301:
            assert await store.purge.step(store.clock.now() + 3601, 7200)
        assert await store.reading.events(job_id, 0)  # a step deletes a part of them
        for after in (0, 150):
            _, text, _ = await client.call("GET", f"/stream/{job_id}?last_event_id={after}")
            assert json.loads(text.removeprefix("data: ")) == {
                "event": "error",
                "data": {
                    "code": "job_expired",
                    "error": "This job has expired; its results were deleted.",
                },
            }
        status, body, _ = await client.call("GET", f"/results/{job_id}")
        assert (status, body["code"]) == (410, "job_expired")
        await purge_all(client)
        for kind in ("json", "csv", "xlsx", "ndjson"):
            status, body, _ = await client.call("GET", f"/results/{job_id}?format={kind}")
            assert (status, body["code"]) == (410, "job_expired")


async def test_results_that_are_deleted_while_they_are_sent_do_not_look_whole(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """The body ends before its end, without another answer in it."""
    async with start(scripted_triton, purge_interval_s=3600) as client:
        job_id = await client.submit(make_items(2000))
        await client.stream(job_id)
        for kind in ("json", "ndjson"):
            _, whole, _ = await client.call("GET", f"/results/{job_id}?format={kind}")
            assert len(whole["results"] if kind == "json" else whole.splitlines()) == 2000
        async with (
            connected(client, small_buffer=True) as slow,
            connected(client, small_buffer=True) as lines,
        ):
            for raw, kind in ((slow, "json"), (lines, "ndjson")):
                await raw.send(head("GET", f"/results/{job_id}?format={kind}"))
                assert b" 200 " in await raw.reader.readline()
            await purge_all(client)
            for raw in (slow, lines):
                async with asyncio.timeout(WAIT_S):
                    rest = await raw.reader.read(-1)
                assert not rest.endswith(b"0\r\n\r\n")
                assert b"HTTP/1.1" not in rest


async def test_a_damaged_job_ends_its_stream_with_a_word(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """Rows that make no sense are no endless wait, and no second answer within the first."""
    async with start(scripted_triton, batch_size=1) as client:
        job_id = await client.submit(make_items(50))
        await client.stream(job_id)
        async with client.service.store.database.write() as connection:
            await connection.exec_driver_sql("UPDATE events SET payload = X'07' WHERE number = 3")
        heard = await client.stream(job_id)
        assert heard.events == [
            {
                "event": "error",
                "data": {"code": "internal_error", "error": "Something went wrong on our side."},
            }
        ]
