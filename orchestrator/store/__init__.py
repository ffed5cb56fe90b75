"""Durable jobs, items and events."""

from orchestrator.store.store import Store, open_store

__all__ = ["Store", "open_store"]
