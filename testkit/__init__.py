"""Starts real servers, for tests and tools alike."""
