"""The fixtures of the orchestrator's tests: the real service, on a scripted model."""

from tests.orchestrator.conftest import settings_for, start

__all__ = ["settings_for", "start"]
