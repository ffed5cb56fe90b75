"""What an operator can set about prompts and answers, read once from the server's environment.

``triton_common/grading_settings.py`` checks the same variables before the server starts; here they are
read without pydantic, so that this folder also works in a repository that someone else serves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
ON_TOO_LONG = ("truncate", "reject")


class SettingError(ValueError):
    """A setting makes no sense. Its text is one line that says which, and why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Field names are the variables' names in lower case; an unset or empty one means the default."""

    constrained_output: bool = True
    confidence: bool = True
    reject_too_long: bool = False
    min_share_kept: float = 0.5
    normalise_text: bool = True
    prompt_template: str = ""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Raises SettingError."""
        on_too_long = env.get("ON_TOO_LONG") or "truncate"
        if on_too_long not in ON_TOO_LONG:
            raise SettingError(f"ON_TOO_LONG={on_too_long!r}: give one of {', '.join(ON_TOO_LONG)}.")
        return cls(
            constrained_output=read_flag(env, "CONSTRAINED_OUTPUT", default=True),
            confidence=read_flag(env, "CONFIDENCE", default=True),
            reject_too_long=on_too_long == "reject",
            min_share_kept=read_share(env, "MIN_SHARE_KEPT", default=0.5),
            normalise_text=read_flag(env, "NORMALISE_TEXT", default=True),
            prompt_template=env.get("PROMPT_TEMPLATE") or "",
        )


def read_flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    """The truth value that ``name`` sets. Raises SettingError where it is none."""
    value = env.get(name) or str(default)
    if value.lower() not in WORDS:
        raise SettingError(f"{name}={value!r}: give true or false.")
    return WORDS[value.lower()]


def read_share(env: Mapping[str, str], name: str, *, default: float) -> float:
    """The number from 0 to 1 that ``name`` sets. Raises SettingError where it is none."""
    value = env.get(name) or str(default)
    try:
        share = float(value)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise SettingError(f"{name}={value!r}: give a number from 0 to 1.")
    return share
