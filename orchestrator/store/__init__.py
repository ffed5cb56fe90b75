"""Durable jobs, items and events."""

from orchestrator.store.committing import Change
from orchestrator.store.store import Created, Store, Unfinished, open_store

__all__ = ["Change", "Created", "Store", "Unfinished", "open_store"]
