"""A class is marked end to end, as a newcomer sees it: HTTP, Triton, vLLM, Server-Sent Events."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from typing import Any

import pytest

from testkit.direct import open_url
from testkit.triton import ROOT
from tests.whole_stack.conftest import LocalStack

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("whole-stack")]

CLASS = json.loads((ROOT / "examples" / "class.json").read_text(encoding="utf-8"))["items"]


def call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    with open_url(request, timeout=60) as response:
        return json.load(response)


def events(url: str) -> list[dict[str, Any]]:
    with open_url(url, timeout=60) as response:
        return [json.loads(line.removeprefix(b"data:")) for line in response if line.startswith(b"data:")]


def test_banner_names_urls_and_model(stack: LocalStack) -> None:
    """What the terminal shows names both services, and says what the model's marks are worth."""
    shown = "".join(stack.output)
    assert f":{stack.port}/docs" in shown
    assert stack.triton_url in shown
    assert "examples/class.json" in shown
    assert "NOTE: " in shown


def test_class_comes_in_batches_of_ten_each_with_its_student(stack: LocalStack) -> None:
    """Twenty-five answers give batches of 10, 10 and 5 and a final event, each with its student."""
    job = call(f"{stack.url}/evaluate", {"items": CLASS})
    *batches, final = events(stack.url + job["stream_url"])
    assert [len(batch["data"]["results"]) for batch in batches] == [10, 10, 5]
    assert [batch["data"]["batch_number"] for batch in batches] == [1, 2, 3]
    results = [result for batch in batches for result in batch["data"]["results"]]
    assert sorted(result["index"] for result in results) == list(range(25))
    for result in results:
        assert result["id_alumno"] == CLASS[result["index"]]["id_alumno"]
        assert (result["status"] == "ok") is (result["nota"] in range(6))
    assert final["event"] == "complete"
    assert final["data"]["total_processed"] == 25
    assert call(f"{stack.url}/results/{job['job_id']}")["results"] == sorted(
        results, key=lambda result: result["index"]
    )


def test_example_client_shows_the_batches(stack: LocalStack) -> None:
    """The command that the banner offers marks the class and prints three batches."""
    shown = subprocess.run(
        [sys.executable, "-m", "examples.grade", "examples/class.csv", "--url", stack.url],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip
    assert "Batch 1: 10 of 25 done" in shown
    assert "Batch 3: 25 of 25 done" in shown
    assert "completed: 25 texts" in shown


def test_triton_grades_one_text_directly(stack: LocalStack) -> None:
    """``POST /v2/models/evaluate/generate`` grades one text without the orchestrator."""
    text = {key: CLASS[0][key] for key in ("curso", "consigna", "respuesta")}
    answer = call(f"{stack.triton_url}/v2/models/evaluate/generate", text)
    assert answer["num_input_tokens"] > 50
    assert (answer["nota"] in range(6)) is (answer["error"] == "")


def test_health_says_what_is_served(stack: LocalStack) -> None:
    """The health page says that the model is loaded, that there is no GPU, and what the model is."""
    health = call(f"{stack.url}/health")
    assert health["status"] == "healthy"
    assert health["model_loaded"] is True
    assert health["gpu_available"] is False
    assert health["notice"]
