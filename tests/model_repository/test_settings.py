"""Settings of the steps around the model: read alike before the start and within Triton."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model_repository.beside import beside
from triton_common.grading_settings import GradingSettings
from triton_common.settings import SettingsError

settings = beside("settings")
GOOD = [
    {},
    {"CONSTRAINED_OUTPUT": "false", "CONFIDENCE": "0"},
    {"CONSTRAINED_OUTPUT": "True", "CONFIDENCE": "on", "ON_TOO_LONG": "reject"},
    {"CONFIDENCE": "", "ON_TOO_LONG": "", "PROMPT_TEMPLATE": "", "MIN_SHARE_KEPT": ""},
    {"MIN_SHARE_KEPT": "0.25", "NORMALISE_TEXT": "false"},
    {"MIN_SHARE_KEPT": "0", "NORMALISE_TEXT": "yes"},
    {"MIN_SHARE_KEPT": "1"},
]
BAD = [
    ("CONSTRAINED_OUTPUT", "maybe"),
    ("CONFIDENCE", "2"),
    ("ON_TOO_LONG", "cut"),
    ("MIN_SHARE_KEPT", "half"),
    ("MIN_SHARE_KEPT", "1.5"),
    ("MIN_SHARE_KEPT", "-0.1"),
    ("MIN_SHARE_KEPT", "nan"),
    ("NORMALISE_TEXT", "perhaps"),
]


@pytest.mark.parametrize("env", GOOD)
def test_both_read_the_same(env: dict[str, str]) -> None:
    """Defaults and values agree, so what was checked before the start is what is used."""
    checked, used = GradingSettings.from_env(env), settings.Settings.from_env(env)
    assert (checked.constrained_output, checked.confidence) == (
        used.constrained_output,
        used.confidence,
    )
    assert (checked.min_share_kept, checked.normalise_text) == (used.min_share_kept, used.normalise_text)
    assert (checked.on_too_long == "reject", checked.prompt_template) == (
        used.reject_too_long,
        used.prompt_template,
    )


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    """One line that names the variable, from both."""
    with pytest.raises(SettingsError, match=name):
        GradingSettings.from_env({name: value})
    with pytest.raises(settings.SettingError, match=name):
        settings.Settings.from_env({name: value})


def test_template_and_threshold_are_checked_before_the_start(tmp_path: Path) -> None:
    """A template that can't be used, or a threshold that is no probability, stops the start in one line."""
    (tmp_path / "t.txt").write_text("{curso}", encoding="utf-8")
    for env in (
        {"PROMPT_TEMPLATE": str(tmp_path / "t.txt")},
        {"PROMPT_TEMPLATE": "/missing"},
        {"LOW_CONFIDENCE": "2"},
    ):
        with pytest.raises(SettingsError) as caught:
            GradingSettings.from_env(env)
        assert "\n" not in str(caught.value)
        assert next(iter(env)) in str(caught.value)
