"""Durable jobs, items and events."""

from orchestrator.store.store import Change, Created, Store, Unfinished, open_store

__all__ = ["Change", "Created", "Store", "Unfinished", "open_store"]
