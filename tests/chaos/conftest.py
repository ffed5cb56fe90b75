"""The marker of tests that kill processes for a minute or two."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "chaos: plays rounds of jobs while everything is killed (minutes)")
