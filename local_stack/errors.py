"""What ends the stack."""

from __future__ import annotations


class StackError(RuntimeError):
    """A part of the stack did not start, or ended. Its text says which, with its log's end."""


class CrashError(StackError):
    """It crashed while it started, which says nothing of its settings: the next try may go well."""
