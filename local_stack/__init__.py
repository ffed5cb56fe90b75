"""Triton and the orchestrator on this machine, started, watched and ended together (``make run``)."""
