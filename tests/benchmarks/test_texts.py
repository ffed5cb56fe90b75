"""The benchmark of texts tells linear stages from others."""

from __future__ import annotations

import pytest

from benchmarks import texts


@pytest.mark.parametrize(("power", "code"), [(1, 0), (2, 1)])
def test_a_stage_that_grows_faster_than_its_text_fails(
    power: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its exit status is 1, with one line that names the stage and the filler."""
    work = texts.Stage(lambda text: sum(1 for _ in range(20_000 * (len(text) // 1000) ** power)))
    monkeypatch.setattr("sys.argv", ["texts"])
    monkeypatch.setattr(texts, "LENGTHS", (1000, 2000, 4000))
    monkeypatch.setattr(texts, "FILLERS", {"dots": "."})
    monkeypatch.setattr(texts, "stages", lambda: {"work": work})
    assert texts.main() == code
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILED")]
    assert len(failed) == code
    assert all("work of dots" in line for line in failed)


@pytest.mark.parametrize("kind", texts.FILLERS)
def test_fillers_are_as_long_as_asked_for(kind: str) -> None:
    """Whole fillers, so up to one of them less."""
    for length in texts.LENGTHS:
        assert length - len(texts.FILLERS[kind]) <= len(texts.filled(kind, length)) <= length + 3
