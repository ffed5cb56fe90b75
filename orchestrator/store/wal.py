"""SQLite's write-ahead log: kept the same file from start to end, and emptied when asked."""

import sqlite3
import threading
from pathlib import Path

CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"


class WriteAheadLog:
    """A connection of its own, which never waits for a lock. Blocks: call it from threads, any of them."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        # A caller that was cancelled leaves its thread behind: the connection must not be closed under that.
        self._using = threading.Lock()
        self._closed = False
        # To have read once is to have the log open, so that no other connection's end deletes it.
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def empty(self) -> bool:
        """Moves all of it into the database; false where somebody who reads is in the way."""
        with self._using:
            if self._closed:
                return False
            busy, _, _ = self._connection.execute(CHECKPOINT).fetchone()
        return not busy

    def close(self) -> None:
        with self._using:
            self._closed = True
            self._connection.close()
