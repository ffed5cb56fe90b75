"""The HTTP side. Nothing else knows HTTP."""
