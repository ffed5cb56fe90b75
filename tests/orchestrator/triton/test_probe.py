"""When a server is probed, and how long an answer may take."""

import pytest

from orchestrator.triton.probe import Probing


def make() -> Probing:
    return Probing(interval_s=10.0, timeout_s=20.0, most_s=300.0, now=0.0)


def test_a_quiet_server_is_probed() -> None:
    """After a while in which nothing good was heard, and one probe at a time."""
    probing = make()
    assert not probing.due(9.9, up=True)
    assert probing.due(10.0, up=True)
    probing.asked(10.0)
    assert not probing.due(60.0, up=True)


def test_a_doubt_is_looked_into_at_once() -> None:
    """One that comes while a probe is out leads to another one behind it."""
    probing = make()
    probing.doubt()
    assert probing.due(0.1, up=True)
    probing.asked(0.1)
    probing.doubt()
    probing.answered(0.2, good=True, most_pause_s=5.0)
    assert probing.due(0.2, up=True)


def test_other_answers_prolong_a_probes_time() -> None:
    """It stands behind them in the queue."""
    probing = make()
    probing.asked(0.0)
    probing.heard(19.0, waiting=True)
    assert not probing.late(38.9)


def test_where_answers_come_slowly_a_probe_may_take_longer() -> None:
    """Three times the longest pause between two answers, while any was waited for."""
    probing = make()
    probing.busy(0.0)
    probing.heard(50.0, waiting=True)
    assert probing.patience_s == 150.0
    probing.asked(50.0)
    assert not probing.late(199.0)
    assert probing.late(200.0)


def test_an_idle_time_is_no_pause_between_answers() -> None:
    probing = make()
    probing.busy(1000.0)
    probing.heard(1001.0, waiting=True)
    assert probing.patience_s == 20.0


def test_after_a_bad_answer_the_next_probe_waits_longer_each_time() -> None:
    probing = make()
    now, pauses = 0.0, []
    for _ in range(4):
        probing.asked(now)
        probing.answered(now, good=False, most_pause_s=0.5)
        start = now
        while not probing.due(now, up=False):
            now += 0.01
        pauses.append(now - start)
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.5], abs=0.02)
