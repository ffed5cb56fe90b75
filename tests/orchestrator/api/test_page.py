"""The page that shows results as they come."""

import asyncio
import json
import re
import shutil
from typing import Any

import pytest

from orchestrator.api.page import ASSETS, WEB
from testkit.triton import TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start

NODE_TIMEOUT_S = 30.0
# A document and a browser's objects, as little of them as the page uses. It prints what was shown.
BROWSER = """
class Element {
  constructor() { this.children = []; this.textContent = ""; this.hidden = true; }
  append(child) { this.children.push(child); }
  replaceChildren() { this.children = []; }
  addEventListener() {}
}
const elements = {};
globalThis.document = {
  getElementById: (id) => (elements[id] ??= new Element()),
  createElement: () => new Element(),
};
globalThis.location = { search: "?job=a%2Fb" };
globalThis.EventSource = class {
  constructor(url) { this.url = url; this.closed = false; globalThis.source = this; }
  close() { this.closed = true; }
};
"""
ASK = """
for (const data of JSON.parse(process.argv[1])) source.onmessage({ data });
console.log(JSON.stringify({
  url: source.url, closed: source.closed, state: elements.state.textContent, csv: elements.csv.href,
  xlsx: elements.xlsx.href,
  done: [elements.done.value, elements.done.max],
  rows: elements.rows.children.map((row) => [row.className, ...row.children.map((cell) => cell.textContent)]),
}));
"""
ANOTHER = """
const first = source;
first.onmessage({ data: JSON.parse(process.argv[1])[0] });
watch("second");
const rows = elements.rows.children.length;
leave();
console.log(JSON.stringify({
  closed: [first.closed, source.closed], url: source.url, rows,
  hidden: [elements.marks.hidden, elements.links.hidden],
}));
"""
TIMES = """
console.log(JSON.stringify(JSON.parse(process.argv[1]).map((progress) => remaining(JSON.parse(progress)))));
"""
EXPIRED = """
source.onmessage({ data: JSON.parse(process.argv[1])[0] });
console.log(JSON.stringify({ closed: source.closed, state: elements.state.textContent }));
"""


async def test_the_page_says_what_the_marks_are_worth(start: Start) -> None:
    """It is served with its files, carries the model's notice, escaped, and takes nothing from elsewhere."""
    async with start(model_notice="Demo <only>") as client:
        status, page, headers = await client.call("GET", "/")
        assert status == 200
        assert "Demo &lt;only&gt;" in page
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "//" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', page))
        for name in ASSETS:
            assert f"web/{name}" in page
            assert (await client.call("GET", f"/web/{name}"))[0] == 200
        assert (await client.call("GET", "/web/index.html"))[0] == 404


def test_texts_never_become_markup() -> None:
    """Whatever a student wrote, the page's script has no way to make elements of it."""
    script = (WEB / "page.js").read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


async def run_in_node(asked: str, events: list[dict[str, Any]]) -> Any:
    """What the page's script shows, once `asked` was run behind it with the events as its argument."""
    script = BROWSER + (WEB / "page.js").read_text("utf-8") + asked
    argument = json.dumps([json.dumps(event) for event in events])
    node = await asyncio.create_subprocess_exec(
        "node", "-e", script, argument, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(NODE_TIMEOUT_S):
        out, err = await node.communicate()
    assert node.returncode == 0, err.decode()
    return json.loads(out)


needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="Node.js is missing: the page's script is not run."
)


@needs_node
async def test_another_job_takes_the_place_of_the_first(start: Start, scripted_triton: TritonProcess) -> None:
    """The first one's stream is closed and its rows are gone; so are the links once a file is refused."""
    async with start(scripted_triton) as client:
        heard = await client.stream(await client.submit(make_items(12)))
    shown = await run_in_node(ANOTHER, heard.events)
    assert shown == {"closed": [True, True], "url": "stream/second", "rows": 0, "hidden": [True, True]}


@needs_node
async def test_it_shows_a_real_jobs_results(start: Start, scripted_triton: TritonProcess) -> None:
    """Fed with a job's real events, the script shows every mark with its student, and then closes."""
    items = make_items(12)
    items[3]["respuesta"] = " "
    items[5]["id_alumno"] = "<b>A5</b>"
    async with start(scripted_triton) as client:
        heard = await client.stream(await client.submit(items))
    shown = await run_in_node(ASK, heard.events)
    assert (shown["url"], shown["csv"]) == ("stream/a%2Fb", "results/a%2Fb?format=csv&locale=ca")
    assert shown["xlsx"] == "results/a%2Fb?format=xlsx"
    assert shown["closed"]
    assert shown["state"].startswith("Acabada: 12 textos, 1 sense nota")
    assert shown["done"] == [12, 12]
    rows = {row[1]: row for row in shown["rows"]}
    assert len(shown["rows"]) == len(rows) == 12
    assert rows["<b>A5</b>"][:4] == ["ok", "<b>A5</b>", "3", "Resposta: Mot5"]
    assert rows["A3"][:3] == ["failed", "A3", "–"]


@needs_node
async def test_the_time_that_is_left_is_as_vague_as_it_is() -> None:
    """One figure where it is known well or not at all, a range in words where it is not."""
    left = [
        (42.2, None),
        (200.0, [180.0, 220.0]),
        (170.0, [115.0, 250.0]),
        (60.0, [40.0, 130.0]),
        (300.0, [200.0, None]),
        (0.0, [0.0, 0.0]),
    ]
    keys = ("estimated_remaining_seconds", "estimated_remaining_range_seconds")
    shown = await run_in_node(TIMES, [dict(zip(keys, values, strict=True)) for values in left])
    assert shown == ["43 s", "3 min", "de 2 min a 4 min", "de 40 s a 2 min", "3 min o més", "0 s"]


@needs_node
async def test_a_job_that_expires_meanwhile_is_said_to_be_gone() -> None:
    """The last message of such a stream is no end of a job."""
    event = {"event": "error", "data": {"code": "job_expired", "error": "This job has expired."}}
    shown = await run_in_node(EXPIRED, [event])
    assert shown == {"closed": True, "state": "No hi ha aquesta feina, o ja ha caducat."}
