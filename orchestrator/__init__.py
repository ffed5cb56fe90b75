"""Takes classes of student texts over HTTP and has them marked by Triton, ten results an event."""

__version__ = "0.1.0"
