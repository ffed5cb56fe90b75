"""Limits decide, and one that was missed says what was measured, what was wanted and what to do."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from typing import Any

import pytest

from loadtest.memory import growth_mib
from loadtest.recorder import DELIVERY, ITEM, JOB, LATE, SUBMIT, Recorder
from loadtest.scenarios import SCENARIOS
from loadtest.settings import Settings, SettingsError, add_arguments, read_settings
from loadtest.thresholds import judge, missed


def lines(recorder: Recorder, scenario: str, growth: float | None = None, **settings: Any) -> list[str]:
    return missed(judge(recorder, SCENARIOS[scenario], Settings(**settings), growth))


@pytest.fixture
def recorder() -> Recorder:
    """Twenty texts of one job in two seconds, with all that belongs to it."""
    kept = Recorder(lambda **_: None)
    kept.begin(100.0)
    for _ in range(20):
        kept.took(ITEM, 1.0)
    kept.last_item = 102.0
    kept.took(SUBMIT, 0.01)
    kept.took(JOB, 1.0)
    kept.took(DELIVERY, 0.02)
    return kept


def test_all_kept(recorder: Recorder) -> None:
    """Nothing is said of a run that kept the requirements' limits, and a figure is not judged twice."""
    assert lines(recorder, "steady", growth=1000.0) == []
    judged = judge(recorder, SCENARIOS["steady"], Settings(), None)
    names = [each.figure.name for each in judged]
    assert len(set(names)) == len(names)
    assert next(each.figure.value for each in judged if each.figure.name == "items/s") == 10.0


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"min_items_per_s": 11}, r"items/s: 10, but at least 11 is wanted\. .*MAX_NUM_SEQS"),
        ({"max_item_p95_s": 0.5}, r"one text.*: 1 s, but at most 0\.5 s is wanted\. .*--classes-per-minute"),
        (
            {"max_event_p95_ms": 10},
            r"batch made.*: 20 ms, but at most 10 ms is wanted\. .*--max-event-p95-ms",
        ),
    ],
)
def test_a_missed_limit_is_one_line(recorder: Recorder, settings: dict[str, Any], line: str) -> None:
    """Each limit that a setting tightens is missed alone."""
    (said,) = lines(recorder, "steady", **settings)
    assert re.match(rf"MISSED {line}", said)
    assert "\n" not in said


def test_nothing_done_is_no_success() -> None:
    """A run in which nothing was marked misses its speed."""
    (said,) = lines(Recorder(lambda **_: None), "steady-grpc")
    assert said.startswith("MISSED items/s: 0,")


def test_failures_are_named(recorder: Recorder) -> None:
    """What failed is counted with its most frequent reasons, and can be allowed."""
    recorder.failed(ITEM, "no_mark")
    recorder.failed(ITEM, "no_mark")
    (said,) = lines(recorder, "steady")
    assert said.startswith("MISSED failed: 2, but at most 0 is wanted.")
    assert f"{ITEM.name}: no_mark (2)" in said
    assert lines(recorder, "steady", max_failed=2) == []


def test_other_answers_and_lost_jobs(recorder: Recorder) -> None:
    """A 500, and a job that was accepted and never ended, are told apart."""
    recorder.failed(SUBMIT, "answered 500")
    recorder.took(SUBMIT, 0.01)
    said = "\n".join(lines(recorder, "overload", room=1))
    assert "MISSED other answers to POST: 1," in said
    assert "MISSED accepted, but not completed: 1," in said


def test_refusals_are_wanted_in_overload_alone(recorder: Recorder) -> None:
    """Elsewhere one 429 is too many; in overload none is too few, and a text may wait in the queue."""
    assert lines(recorder, "overload")[0].startswith("MISSED refused (429): 0, but at least 1")
    recorder.refused(0.01, wanted=True)
    recorder.samples[ITEM] = [1000.0] * 20
    assert lines(recorder, "overload") == []
    (said,) = lines(recorder, "classes")
    assert said.startswith("MISSED refused (429): 1, but at most 0")
    assert any("one text" in said for said in lines(recorder, "steady"))


def test_refused_is_an_error_to_locust_only_where_unwanted() -> None:
    """Its own row in both cases, so that it never mixes with what was taken, or failed."""
    told: list[dict[str, Any]] = []
    recorder = Recorder(lambda **values: told.append(values))
    recorder.refused(0.5, wanted=True)
    recorder.refused(0.5, wanted=False)
    assert [(event["request_type"], event["exception"] is None) for event in told] == [
        ("429", True),
        ("429", False),
    ]
    assert not recorder.failures


def test_memory_is_judged_in_overload(recorder: Recorder) -> None:
    """Growth after the first quarter counts; growth within it does not."""
    recorder.refused(0.01, wanted=True)
    (said,) = lines(recorder, "overload", growth=20.5)
    assert said.startswith("MISSED memory growth: 20.5 MiB, but at most 20 MiB is wanted.")
    leaking = [(float(second), 100.0 + second) for second in range(40)]
    assert growth_mib(leaking) == 20.0
    assert growth_mib([(second, min(mib, 110.0)) for second, mib in leaking]) == 0.0
    assert growth_mib(leaking[:7]) is None


def test_late_arrivals_are_shown(recorder: Recorder) -> None:
    """Nobody promised that this client keeps time, but whoever reads the table has to know."""
    recorder.took(LATE, 5.0)
    assert lines(recorder, "steady") == []
    assert any(
        LATE.name in each.figure.name for each in judge(recorder, SCENARIOS["steady"], Settings(), None)
    )


def test_settings_are_flags_and_bad_ones_one_line() -> None:
    """Every setting has a flag with its default; what makes no sense is named."""

    class Parser(ArgumentParser):
        """With what Locust's own takes besides."""

        def add_argument(
            self, *names: Any, env_var: str = "", include_in_web_ui: bool = True, **more: Any
        ) -> Any:
            assert include_in_web_ui is (names[0] != "--report")
            assert env_var == f"LOAD_{names[0].removeprefix('--').replace('-', '_').upper()}" or not env_var
            return super().add_argument(*names, **more)

    parser = Parser()
    add_arguments(parser)
    assert read_settings(vars(parser.parse_args([]))) == Settings()
    options = parser.parse_args(["--items", "2001", "--class-min", "31"])
    with pytest.raises(SettingsError, match=r"^ITEMS: [^\n]*2000$"):
        read_settings(vars(options))
    with pytest.raises(SettingsError, match="CLASS_MIN, CLASS_MAX"):
        read_settings({"class_min": 31})
