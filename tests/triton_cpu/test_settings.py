"""Which replacements of vLLM's functions the setting names."""

from __future__ import annotations

import pytest

from triton_common.settings import SettingsError
from triton_cpu.settings import REPLACEMENTS, CpuSettings

FIRST, *OTHERS = REPLACEMENTS


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("", REPLACEMENTS),
        ("all", REPLACEMENTS),
        ("none", []),
        (FIRST, [FIRST]),
        (",".join(reversed(REPLACEMENTS)), REPLACEMENTS),
        (f"-{FIRST}", OTHERS),
        (", ".join(f"-{name}" for name in OTHERS), [FIRST]),
    ],
)
def test_names_are_used_or_left_out(given: str, names: list[str]) -> None:
    """All, none, some, or all but some; always in one order."""
    assert CpuSettings.from_env({"CPU_REPLACEMENTS": given}).replacements == names


@pytest.mark.parametrize("given", ["sampler", f"all,{FIRST}", f"-{FIRST},{OTHERS[0]}", "-all", ","])
def test_what_names_none_is_refused(given: str) -> None:
    """One line names the setting and what it may be."""
    with pytest.raises(SettingsError, match=f"CPU_REPLACEMENTS='{given}'.*all, none, or some of {FIRST}"):
        CpuSettings.from_env({"CPU_REPLACEMENTS": given})
