"""The command ``avalua``."""

from __future__ import annotations

from avalua_client.cli.main import main

__all__ = ["main"]
