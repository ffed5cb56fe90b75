"""How a Triton is watched, wherever it runs: when it is asked, and when it counts as broken."""

from __future__ import annotations

from pydantic import Field

from triton_common.probe import NotGradingError, Probe
from triton_common.settings import EnvSettings

RETRY_S = 1.0
"""The pause before asking again after a failed probe."""


class SupervisionSettings(EnvSettings):
    """When Triton counts as broken, and how often it is started again."""

    triton_probe_interval_s: float = Field(default=10.0, gt=0)
    # As generous as a full queue of long answers needs: a model that is only slow must not be restarted.
    triton_probe_timeout_s: float = Field(default=30.0, gt=0)
    triton_probe_failures: int = Field(default=3, ge=1)
    # One text that kills the model is tried three times: some deaths are no reason to give up.
    triton_max_restarts: int = Field(default=10, ge=0)
    # A start can hang for ever where a model process dies in it. The first one may have to fetch the weights.
    triton_start_timeout_s: float = Field(default=1800.0, gt=0)
    # A Triton that lived this long has recovered: the count starts again.
    triton_restart_window_s: float = Field(default=60.0, gt=0)


class Pulse:
    """Probes in a row: one that fails proves nothing, several do."""

    def __init__(self, probe: Probe, settings: SupervisionSettings) -> None:
        self._probe = probe
        self._settings = settings
        self._failures = 0

    @property
    def interval_s(self) -> float:
        """Seconds to wait before the first check."""
        return self._settings.triton_probe_interval_s

    def check(self) -> float:
        """Ask once, and return the seconds to wait before the next check; blocks for a probe's deadline.

        Raises NotGradingError once as many probes in a row have failed as the settings allow.
        """
        try:
            self._probe.ask()
        except NotGradingError as error:
            self._failures += 1
            if self._failures >= self._settings.triton_probe_failures:
                raise NotGradingError(
                    f"{self._failures} probes in a row failed, the last one: {error}"
                ) from None
            return min(RETRY_S, self._settings.triton_probe_interval_s)
        self._failures = 0
        return self._settings.triton_probe_interval_s
