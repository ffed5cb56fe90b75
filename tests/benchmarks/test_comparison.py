"""What the side-by-side benchmark makes of its rounds: ratios, verdicts, and whether the work was equal."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.comparison import (
    TITLES,
    Round,
    UnequalError,
    check,
    cost_table,
    quantile,
    speed_table,
    summarize_all,
    verdicts,
)
from benchmarks.drawing import Bar, Curve, bars, curves
from benchmarks.meter import Cost, label
from benchmarks.questions import FIXED_TOKENS, beside_preprocess, held_out, overlay
from benchmarks.sidebyside import SIDES
from benchmarks.sides.openai import flags
from benchmarks.sides.side import Outcome, Setup
from benchmarks.sides.triton import make_server
from triton_common.settings import ModelSettings

ITEMS = 10
SVG = "{http://www.w3.org/2000/svg}"


def turn(seconds: float, **changed: Any) -> Round:
    """A side's turn: ten items, one answered each tenth of the time, 1 s of CPU in each of two processes."""
    spans = [(0.0, seconds * (number + 1) / ITEMS) for number in range(ITEMS)]
    told = {"requests": ITEMS, "input_tokens": 1000, "output_tokens": ITEMS * FIXED_TOKENS, "spans": spans}
    cost = Cost({"client": 1.0, "engine": 1.0}, {"client": 50.0, "engine": 500.0})
    return Round(Outcome(seconds, **{**told, **changed}), cost)


def rounds_of(**seconds: Sequence[float]) -> dict[str, list[Round]]:
    return {name.replace("_", "'"): [turn(taken) for taken in each] for name, each in seconds.items()}


def test_ratios_are_those_of_the_medians() -> None:
    """One slow round of three moves neither the median nor the ratio, and shows in the spread."""
    summaries = summarize_all(rounds_of(a=(1.0, 1.0, 9.0), e=(2.0, 2.0, 2.0)))
    assert summaries["a"].rate == 10.0
    assert summaries["e"].ratio == 0.5
    assert min(summaries["a"].rates) == pytest.approx(10 / 9)


def test_costs_are_those_of_an_item() -> None:
    """CPU is divided by the items of all rounds; the client's memory is not the server's."""
    one = summarize_all(rounds_of(a=(1.0, 2.0)))["a"]
    assert one.cpu_ms == {"client": 100.0, "engine": 100.0}
    assert one.server_peak_mib == 500.0
    assert (one.input_tokens, one.output_tokens) == (100.0, 40.0)
    assert (one.p50, one.p95) == (0.7, 1.8)


def test_quantiles_are_values_that_were_measured() -> None:
    """The P95 of twenty is the nineteenth."""
    assert quantile([float(value) for value in range(20, 0, -1)], 0.95) == 19.0
    assert quantile([7.0], 0.5) == 7.0


def test_each_ratio_that_is_asked_for_gets_its_verdict() -> None:
    """0.9 of both limits, 1.2 times vLLM's server, 2.5 times ten by ten; a side that is missing has none."""
    rounds = rounds_of(a=[1.0], b_=[2.6], c=[1.2], e=[1.05]) | {"a+": [turn(0.8)]}
    figures = verdicts(summarize_all(rounds), "fixed")
    judged = [(figure.limit, figure.good) for figure in figures]
    assert judged == [(0.9, True), (0.9, False), (1.2, False), (2.5, False)]
    del rounds["c"], rounds["a+"]
    assert [figure.limit for figure in verdicts(summarize_all(rounds), "fixed")] == [0.9, 2.5]


def test_equal_work_passes() -> None:
    """As many requests and tokens on every side."""
    check({"a": [turn(1.0)], "e": [turn(2.0)]}, ITEMS, FIXED_TOKENS)


@pytest.mark.parametrize(
    "changed",
    [{"requests": ITEMS + 1}, {"input_tokens": 999}, {"output_tokens": 399}, {"spans": [(0.0, 1.0)] * 9}],
)
def test_unequal_work_is_no_comparison(changed: dict[str, Any]) -> None:
    """A retry, a cut prompt, a shorter answer or a lost item ends the benchmark."""
    with pytest.raises(UnequalError):
        check({"a": [turn(1.0)], "e": [turn(2.0, **changed)]}, ITEMS, FIXED_TOKENS)


def test_answers_that_end_by_themselves_may_differ() -> None:
    """Without a fixed length only the prompts have to be alike."""
    check({"a": [turn(1.0)], "e": [turn(2.0, output_tokens=399)]}, ITEMS, None)


def test_tables_have_a_row_for_each_side_and_process() -> None:
    """Markdown whose rows all have as many cells as its head."""
    summaries = summarize_all({"a": [turn(1.0)], "e": [turn(2.0, graded=9)]})
    speeds, costs = speed_table(summaries).splitlines(), cost_table(summaries).splitlines()
    assert len(speeds) == 2 + 2
    assert len(costs) == 2 + 4
    for lines in (speeds, costs):
        assert len({line.count("|") for line in lines}) == 1
    assert "| 5.0 | 5.0 - 5.0 | 0.50 |" in speeds[-1]
    assert speeds[-1].endswith("| 90.0% |")


def test_every_side_has_a_title() -> None:
    """What can be run can be shown."""
    assert set(TITLES) == set(SIDES)


def test_a_process_is_named_after_what_it_does() -> None:
    """Triton's stubs carry their model's name, vLLM's processes their own."""
    assert label("tritonserver", ["/x/triton_python_backend_stub", "/r/gemma2/1/model.py"]) == "gemma2 (stub)"
    assert label("API server", ["VLLM::EngineCore"]) == "API server: EngineCore"
    assert label("API server", ["python", "-c", "..."]) == "API server: child"


def test_the_engines_get_the_same_arguments() -> None:
    """vLLM's command line says what ``model.json`` says, objects as JSON and truths as switches."""
    words = flags(ModelSettings.from_env({"MODEL_NAME": "m"}).engine_args("cuda"))
    assert words[:2] == ["--model", "m"]
    assert "--enable-prefix-caching" in words
    assert words[words.index("--compilation-config") + 1] == '{"mode": 3}'
    assert flags({"enable_chunked_prefill": False}) == ["--no-enable-chunked-prefill"]


def test_in_the_image_the_same_model_is_served(tmp_path: Path) -> None:
    """NVIDIA's server gets the arguments that the other sides get, and the forced length."""
    setup = Setup(tmp_path, {"model": "m", "load_format": "dummy"}, "cuda", "m", FIXED_TOKENS, 160, ITEMS)
    server = make_server(setup, tmp_path / "triton")
    assert server.command[0] == "/opt/tritonserver/bin/tritonserver"
    served = tmp_path / "triton" / "model_repository"
    assert json.loads((served / "gemma2" / "1" / "model.json").read_text("utf-8")) == setup.engine_args
    assert "'ignore_eos': True" in (served / "preprocess" / "1" / "sampling.py").read_text("utf-8")


def test_the_overlay_forces_the_length_and_nothing_else(tmp_path: Path) -> None:
    """What the laid-over preprocess asks of the model is what the other sides are asked for."""
    folder = overlay(tmp_path, FIXED_TOKENS)
    scope: dict[str, Any] = {"__name__": "sampling"}
    fixed, natural = held_out(1, 0, FIXED_TOKENS)[0].sampling, held_out(1, 0, None)[0].sampling
    exec((folder / "preprocess" / "1" / "sampling.py").read_text("utf-8"), scope)  # noqa: S102
    made = scope["Sampling"](constrained=False, logprobs=False).parameters
    assert {**made, "seed": fixed["seed"]} == fixed
    assert {name for name in fixed if fixed[name] != natural.get(name)} == {
        "max_tokens",
        "min_tokens",
        "ignore_eos",
    }
    assert beside_preprocess("sampling").BASE["max_tokens"] == natural["max_tokens"]


def test_bars_are_as_long_as_what_they_show() -> None:
    """Twice the value, twice the width; texts are escaped."""
    drawn = ElementTree.fromstring(bars("<t>", {"g": [Bar("one", 1, 1, 1), Bar("two", 2, 1, 3)]}))  # noqa: S314
    widths = [float(rect.get("width", "0")) for rect in drawn.findall(f"{SVG}rect")[1:]]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)


def test_curves_mark_bad_steps() -> None:
    """Red where a step is worse than linear, and only there."""
    shown = [Curve("items", "s", [(10, 0.1), (100, 1.0), (1000, 50.0)], frozenset({1000.0}))]
    drawn = curves("growth", shown)
    assert len(re.findall(r'fill="red"', drawn)) == 1
    assert len(ElementTree.fromstring(drawn).findall(f"{SVG}circle")) == 3  # noqa: S314
