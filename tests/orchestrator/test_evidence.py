"""What a teacher can defend a mark with: how sure it is, and what it was made with."""

import asyncio
import csv
import hashlib
import io
import json
from pathlib import Path

import pytest

from orchestrator.api.exports.made_with import columns
from orchestrator.triton.provenance import read_provenance
from testkit.triton import ROOT, TritonProcess
from tests.orchestrator.client import make_items
from tests.orchestrator.conftest import Start

TEMPLATE = ROOT / "model_repository" / "preprocess" / "1" / "prompt_template.txt"


async def test_each_row_says_where_its_mark_comes_from(start: Start, scripted_triton: TritonProcess) -> None:
    """Status, JSON, NDJSON and CSV agree on what made each mark; a blank answer has none."""
    items = make_items(11)
    items[4]["respuesta"] = " "
    async with start(scripted_triton) as client:
        job_id = await client.submit(items)
        heard = await client.stream(job_id)
        _, status, _ = await client.call("GET", f"/status/{job_id}")
        _, as_json, _ = await client.call("GET", f"/results/{job_id}")
        _, as_lines, _ = await client.call("GET", f"/results/{job_id}?format=ndjson")
        _, as_csv, _ = await client.call("GET", f"/results/{job_id}?format=csv")
    told = status["provenance"]
    assert status["earlier_provenances"] == []
    assert told["template_sha256"] == hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()
    assert told["sampling"]["temperature"] == 0.1
    assert told["versions"]["triton"] == "2.51.0"
    assert set(told["model"]) == {"name", "revision", "weights"}
    assert told["normalise_text"] is True
    expected = [None if index == 4 else told["id"] for index in range(11)]
    assert [result["provenance_id"] for result in as_json["results"]] == expected
    assert as_json["provenances"] == {told["id"]: told}
    by_index = sorted(heard.results, key=lambda result: result["index"])
    assert [result["provenance_id"] for result in by_index] == expected
    lines = [json.loads(line)["provenance"] for line in as_lines.splitlines()]
    assert lines == [None if index == 4 else told for index in range(11)]
    rows = list(csv.DictReader(io.StringIO(as_csv.removeprefix("\ufeff"))))
    assert [row["template_sha256"] for row in rows] == [
        "" if i == 4 else told["template_sha256"] for i in range(11)
    ]
    assert json.loads(rows[0]["versions"]) == told["versions"]
    assert json.loads(rows[0]["sampling"]) == told["sampling"]


async def test_a_job_that_two_set_ups_marked_says_which_marked_what(
    start: Start, own_scripted_triton: TritonProcess, tmp_path: Path
) -> None:
    """The template is changed while the job runs: each result names its own, status has both."""
    triton = own_scripted_triton
    other = tmp_path / "other.txt"
    other.write_text("Nou: " + TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    async with start(triton, max_in_flight=10) as client:
        job_id = await client.submit(make_items(20) + make_items(60, "[[delay_ms=400]]")[20:])
        await client.stream(job_id, events=2)
        await asyncio.to_thread(triton.kill)
        triton.set(PROMPT_TEMPLATE=str(other))
        await asyncio.to_thread(triton.start)
        heard = await client.stream(job_id)
        _, status, _ = await client.call("GET", f"/status/{job_id}")
    (before,), after = status["earlier_provenances"], status["provenance"]
    assert before["template_sha256"] == hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()
    assert after["template_sha256"] == hashlib.sha256(other.read_bytes()).hexdigest()
    assert heard.results[0]["provenance_id"] == before["id"]
    assert heard.results[-1]["provenance_id"] == after["id"]
    assert {result["provenance_id"] for result in heard.results} == {before["id"], after["id"]}


@pytest.mark.parametrize("quiet", [True, False], ids=["between jobs", "within a job"])
async def test_a_model_that_is_loaded_anew_is_noticed(
    start: Start, own_scripted_triton: TritonProcess, quiet: bool
) -> None:
    """Another model.json is loaded under the open stream: later marks carry another id, and none is lost."""
    triton = own_scripted_triton
    async with start(triton, max_in_flight=10, probe_interval_s=600.0) as client:
        first = await client.submit(make_items(5) if quiet else make_items(150, "[[delay_ms=300]]"))
        await client.stream(first, events=1)
        model = {"model": "algu/altre", "revision": "a" * 40, "tokenizer": "algu/paraules"}
        (triton.repository / "gemma2" / "1" / "model.json").write_text(json.dumps(model), encoding="utf-8")
        await asyncio.to_thread(triton.reload, "gemma2")
        last = await client.submit(make_items(5)) if quiet else first
        heard = await client.stream(last)
        _, status, _ = await client.call("GET", f"/status/{last}")
        assert client.service.metrics.outages.labels(own_scripted_triton.grpc_url)._value.get() == 0
    told = status["provenance"]
    assert told["model"] == {"name": "algu/altre", "revision": "a" * 40, "weights": ""}
    assert told["tokenizer"]["name"] == "algu/paraules"
    assert all(result["nota"] == 3 for result in heard.results)
    assert heard.results[-1]["provenance_id"] == told["id"]
    assert [one["model"]["name"] for one in status["earlier_provenances"]] == ([] if quiet else [""])
    assert {result["provenance_id"] for result in heard.results} == {
        told["id"],
        *(one["id"] for one in status["earlier_provenances"]),
    }


async def test_what_was_known_before_a_restart_is_not_written_twice(
    start: Start, scripted_triton: TritonProcess
) -> None:
    """A job that is drained and resumed keeps one provenance, also for results that had no batch yet."""
    async with start(scripted_triton, drain_timeout_s=5.0) as client:
        job_id = await client.submit(make_items(15) + make_items(40, "[[delay_ms=1500]]")[15:])
        await client.stream(job_id, events=1)
    async with start(scripted_triton) as client:
        heard = await client.stream(job_id)
        _, status, _ = await client.call("GET", f"/status/{job_id}")
    assert {result["provenance_id"] for result in heard.results} == {status["provenance"]["id"]}
    assert status["earlier_provenances"] == []


def test_what_preprocess_tells_need_not_make_sense() -> None:
    """Somebody else's repository may tell anything: then nothing is known, and nothing breaks."""
    assert read_provenance("", "2.51.0") is None
    assert read_provenance("[1]", "2.51.0") is None
    odd = read_provenance('{"versions": 3}', "2.51.0")
    assert odd is not None
    assert odd.as_dict()["versions"]["triton"] == "2.51.0"
    assert odd == read_provenance('{"versions": 3}', "2.51.0")
    assert columns({})["model"] is None
