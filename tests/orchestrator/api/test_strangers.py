"""Pages of other sites: what they can make a browser send, and what they could read."""

import json

import aiohttp
import pytest

from orchestrator.api.guard import host_name
from orchestrator.config import Settings, SettingsError, load_settings
from testkit.triton import TritonProcess
from tests.browser import needs_browser, page, run, see, serve
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start
from tests.orchestrator.raw import connected, head, post

BODY = json.dumps({"items": make_items(1)})


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("localhost", 200),
        ("LOCALHOST.:80", 200),
        ("Marks.Example.org:8443", 200),
        ("192.168.1.20", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:8000", 421),
        ("sub.marks.example.org", 421),
        ("127.1", 421),
        ("", 400),
        ("a b", 400),
        ("user@127.0.0.1", 400),
        ("127.0.0.1:x", 400),
        ("127.0.0.1/evil", 400),
    ],
)
async def test_hosts(start: Start, host: str, status: int) -> None:
    """Addresses, localhost and the names that are allowed; nothing else is read, let alone changed."""
    async with start(allowed_hosts="marks.example.org,x") as client:
        for method, path in (("GET", "/health/live"), ("POST", "/cancel/x"), ("GET", "/nothing")):
            async with connected(client) as raw:
                await raw.send(head(method, path, host=host))
                answer = await raw.answer()
                if status == 200:
                    assert answer.status in (200, 404)
                else:
                    assert answer.status == status
                    assert answer.json["code"] == {421: "unknown_host", 400: "invalid_host"}[status]


async def test_odd_ways_to_name_a_host(start: Start) -> None:
    """Two headers, none, another one in the target; HTTP/1.0, which no browser speaks, may have none."""
    cases = [
        (head("GET", "/health/live", "Host: 127.0.0.1"), 400),
        (head("GET", "/health/live", host=None), 400),
        (head("GET", "http://evil.example/health/live"), 421),
        (head("GET", "http://127.0.0.1/health/live"), 200),
        (head("GET", "/health/live", host=None, version="1.0"), 200),
    ]
    async with start() as client:
        for sent, status in cases:
            async with connected(client) as raw:
                await raw.send(sent)
                assert (await raw.answer()).status == status, sent


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("Origin: http://evil.example",), "foreign_origin"),
        (("Origin: null",), "foreign_origin"),
        (("Origin: http://127.0.0.1:81",), "foreign_origin"),
        (("Origin: http://127.0.0.1.evil.example",), "foreign_origin"),
        (("Origin: file://127.0.0.1",), "foreign_origin"),
        (("Origin: http://127.0.0.1", "Origin: http://evil.example"), "foreign_origin"),
        (("Sec-Fetch-Site: cross-site",), "foreign_origin"),
        (("Origin: http://127.0.0.1",), "model_not_loaded"),
        (("Origin: https://127.0.0.1:443",), "model_not_loaded"),
        (("Origin: https://teacher.example",), "model_not_loaded"),
        (("Sec-Fetch-Site: same-origin",), "model_not_loaded"),
    ],
)
async def test_origins(start: Start, lines: tuple[str, ...], code: str) -> None:
    """Our own pages and those of CORS_ORIGINS; what changes something is refused to all others."""
    async with start(cors_origins="https://teacher.example") as client:
        async with connected(client) as raw:
            await raw.send(post("Content-Length: 2", *lines) + b"{}")
            assert (await raw.answer()).json["code"] == code
        async with connected(client) as raw:
            await raw.send(head("POST", "/cancel/x", *lines))
            assert (await raw.answer()).status == (403 if code == "foreign_origin" else 404)
        async with connected(client) as raw:
            await raw.send(head("GET", "/health/live", *lines))
            assert (await raw.answer()).status == 200


async def test_a_page_by_https_at_our_port_is_anothers(start: Start) -> None:
    """No proxy can be in front of an address with our port; behind a name there may be one."""
    async with start(allowed_hosts="marks.example.org") as client:
        for place, status in (("127.0.0.1:8443", 403), ("[::1]:8443", 403), ("marks.example.org:8443", 404)):
            async with connected(client) as raw:
                await raw.send(head("POST", "/cancel/x", f"Origin: https://{place}", host=place))
                assert (await raw.answer()).status == status, place


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "a/json",
        "",
        None,
    ],
)
async def test_content_types(start: Start, content_type: str | None) -> None:
    """What a form or a script can send without asking is 415, and so is a body without a type."""
    named = [f"Content-Type: {content_type}"] if content_type is not None else []
    async with start() as client:
        for path in ("/evaluate", "/cancel/x"):
            async with connected(client) as raw:
                await raw.send(head("POST", path, "Content-Length: 2", *named) + b"{}")
                answer = await raw.answer()
                assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")
                taken = answer.headers["accept"].split(", ")
                assert taken[0] == "application/json"
                assert (len(taken) == 1) is (path == "/cancel/x")


async def test_json_by_its_name(start: Start) -> None:
    """With a charset, in capitals; without a body nothing needs a type."""
    async with start() as client:
        for named in ("application/json; charset=utf-8", "Application/JSON"):
            async with connected(client) as raw:
                await raw.send(head("POST", "/evaluate", "Content-Length: 2", f"Content-Type: {named}"))
                assert (await raw.answer()).json["code"] == "model_not_loaded"
        assert (await client.call("POST", "/cancel/x"))[0] == 404


async def test_headers_of_all_answers(start: Start, scripted_triton: TritonProcess) -> None:
    """Not sniffed, not framed, not told to others; nothing of students is kept by a browser or a proxy."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(1))
        await client.stream(job_id)
        for path in ("/", "/docs", "/web/page.js", "/openapi.json", "/nothing", f"/stream/{job_id}"):
            _, _, headers = await client.call("GET", path)
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
        for path in (f"/status/{job_id}", f"/results/{job_id}", f"/results/{job_id}?format=csv"):
            _, _, headers = await client.call("GET", path)
            assert headers["Cache-Control"] == "no-store"


async def test_files_of_pages_are_not_sent_twice(start: Start) -> None:
    """A browser that has one is told so; a HEAD has its length and no body."""
    async with start() as client:
        _, text, headers = await client.call("GET", "/web/page.js")
        known = {"If-None-Match": headers["Etag"]}
        assert (await client.call("GET", "/web/page.js", headers=known))[0] == 304
        status, nothing, headers = await client.call("HEAD", "/web/page.js")
        assert (status, nothing, headers["Content-Length"]) == (200, "", str(len(text.encode())))


def test_allowed_hosts_are_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL, a port or a star stops the start with one line."""
    assert Settings(allowed_hosts="A.example., b").allowed_hosts == ("a.example", "b")  # type: ignore[arg-type]
    for wrong in ("http://a.example", "a.example:80", "*", "*.example"):
        monkeypatch.setenv("ALLOWED_HOSTS", wrong)
        with pytest.raises(SettingsError, match="ALLOWED_HOSTS"):
            load_settings()


def test_host_names() -> None:
    assert host_name("[FE80::1%25eth0]:80") == "fe80::1%25eth0"
    assert host_name("[::1") is None


ATTACK = """
  const body = {body};
  const post = (path, type) => fetch("{base}" + path, {{ method: "POST", mode: "no-cors", body,
    headers: {{ "Content-Type": type }} }}).then((answer) => answer.type);
  await attempt("plain", () => post("/evaluate", "text/plain"));
  await attempt("plain cancel", () => post("/cancel/{job}", "text/plain"));
  await attempt("bare cancel", () => fetch("{base}/cancel/{job}", {{ method: "POST", mode: "no-cors" }})
    .then((answer) => answer.type));
  await attempt("beacon", () => navigator.sendBeacon("{base}/evaluate", body));
  await attempt("json", () => fetch("{base}/evaluate", {{ method: "POST", body,
    headers: {{ "Content-Type": "application/json" }} }}).then((answer) => answer.status));
  await attempt("read", () => fetch("{base}/results/{job}").then((answer) => answer.text()));
  await attempt("form", () => new Promise((done) => {{
    const frame = document.createElement("iframe");
    frame.name = "target";
    document.body.append(frame);
    const form = document.createElement("form");
    Object.assign(form, {{ method: "POST", action: "{base}/evaluate", enctype: "text/plain" }});
    form.target = "target";
    const field = document.createElement("input");
    field.name = body;
    form.append(field);
    document.body.append(form);
    frame.onload = () => done("sent");
    form.submit();
    setTimeout(() => done("sent"), 3000);
  }}));
"""


@needs_browser
async def test_a_strangers_page_changes_nothing(start: Start, scripted_triton: TritonProcess) -> None:
    """A real browser on a page of another origin: there is no further job, and none is ended."""
    async with start(scripted_triton, drain_timeout_s=0.0) as client:
        job_id = await client.submit(make_items(1, "[[delay_ms=60000]]"))
        script = ATTACK.replace("{body}", json.dumps(BODY)).replace("{base}", client.base)
        script = script.replace("{job}", job_id).replace("{{", "{").replace("}}", "}")
        async with serve({"/": page(script)}) as stranger:
            seen = await see(f"{stranger}/")
        assert seen["json"] == seen["read"] == "error: TypeError", seen
        store = client.service.store
        assert (await store.reading.backlog()).jobs == 1
        assert not (await store.reading.heads([job_id]))[0].terminal


@needs_browser
async def test_a_name_that_points_here_reads_nothing(start: Start, scripted_triton: TritonProcess) -> None:
    """A stranger's name that resolves to our address: same origin for the browser, and unknown to us."""
    async with start(scripted_triton) as client:
        job_id = await client.submit(make_items(1))
        await client.stream(job_id)
        port = client.base.rsplit(":", 1)[1]
        document, _ = await run(
            f"http://evil.example:{port}/results/{job_id}", "--host-resolver-rules=MAP evil.example 127.0.0.1"
        )
    assert "unknown_host" in document
    assert "A0" not in document


@needs_browser
async def test_our_pages_keep_their_own_rules(start: Start) -> None:
    """The page and the API's page load, run and draw without a single violation of their policy."""
    async with start() as client:
        for path, sign in (("/", "Avalua"), ("/docs", "/evaluate")):
            document, said = await run(client.base + path, "--enable-logging=stderr")
            assert sign in document
            assert "Content Security Policy" not in said


async def test_a_page_of_ours_may_post(start: Start, scripted_triton: TritonProcess) -> None:
    """As a browser sends it from the page that we served."""
    async with start(scripted_triton) as client:
        headers = {"Origin": client.base, "Sec-Fetch-Site": "same-origin"}
        async with aiohttp.ClientSession() as session:
            answer = await session.post(f"{client.base}/evaluate", json=json.loads(BODY), headers=headers)
            assert answer.status == 202
