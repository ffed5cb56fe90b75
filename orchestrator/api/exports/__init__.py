"""Results as files: rows in, chunks of bytes out. Without I/O."""
