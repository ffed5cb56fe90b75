"""Durable jobs, items and events."""

from orchestrator.store.store import Created, Store, Unfinished, open_store
from orchestrator.store.writing import Change

__all__ = ["Change", "Created", "Store", "Unfinished", "open_store"]
