"""The files of an SQLite database: the owner's alone, used by one service, and still where they were."""

import fcntl
import os
from pathlib import Path

import structlog

from orchestrator.config import MAX_PATH_BYTES
from orchestrator.errors import StartError

OWNER_ONLY = 0o600
FOLDER = 0o700
# SQLite's user_version stands in the file's first page. https://www.sqlite.org/fileformat.html
VERSION_PLACE = 60
VERSION_BYTES = 4

log = structlog.get_logger()


class DatabaseFiles:
    """The database, its write-ahead log with that one's index, and our lock: `path` with a suffix each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path.with_name(path.name + "-wal")
        self._index = path.with_name(path.name + "-shm")
        self._lock_path = path.with_name(path.name + ".lock")
        self._lock: int | None = None
        # Open as long as SQLite has the file open: to close any descriptor of it drops SQLite's own locks.
        self._file: int | None = None
        self._known: dict[Path, tuple[int, int]] = {}
        self._versions: set[bytes] = set()
        self._lost: str | None = None

    def claim(self) -> None:
        """Takes the lock, makes the file if there is none, and closes all of them to others.

        Two services on one file would send every item twice. The lock ends with the process.
        Raises StartError.
        """
        try:
            self._refuse_no_file()
            self.path.parent.mkdir(mode=FOLDER, parents=True, exist_ok=True)
            used_before = self._lock_path.exists()
            self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._refuse_orphaned_log()
            fresh = not self.path.exists()
            # SQLite gives the files beside it the same mode.
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
            for path in (self.path, self._log, self._index, self._lock_path):
                _tighten(path)
        except BlockingIOError:
            self.close()
            raise StartError(f"the database {self.path} is in use by another orchestrator") from None
        except StartError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise StartError(f"the database {self.path} can't be opened: {error.strerror}") from None
        if fresh and used_before:
            log.warning("database_was_gone", file=str(self.path), made="a new, empty one")

    def watch(self, version: int) -> None:
        """From now on `lost` compares with what is there now; the database has this user_version."""
        assert self._file is not None
        for path in (self.path, self._log, self._index, self._lock_path):
            found = path.stat()
            self._known[path] = (found.st_dev, found.st_ino)
        # Where somebody reads, the version may not have got from the log into the file yet.
        in_file = os.pread(self._file, VERSION_BYTES, VERSION_PLACE)
        self._versions = {in_file, version.to_bytes(VERSION_BYTES)}

    def lost(self) -> str | None:
        """What is wrong with the files, if they were deleted, replaced or overwritten; costs microseconds.

        They count as lost until the very same ones are back: what is written meanwhile nobody would find.
        """
        problem = self._problem()
        if problem is not None and self._lost is None:
            log.error(
                "database_lost",
                reason=problem,
                remedy="Put the same file back, or stop the service, restore a backup and start it again.",
            )
        elif problem is None and self._lost is not None:
            log.info("database_is_back", file=str(self.path))
        self._lost = problem
        return problem

    def close(self) -> None:
        """Once SQLite has closed them."""
        self._known.clear()
        for descriptor in (self._file, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._lock = None

    def _problem(self) -> str | None:
        if not self._known or self._file is None:
            return None
        path = self.path
        try:
            for path, known in self._known.items():
                found = path.stat()
                if (found.st_dev, found.st_ino) != known:
                    return f"{path} was replaced by another file while in use"
            if os.pread(self._file, VERSION_BYTES, VERSION_PLACE) not in self._versions:
                return f"{path} was overwritten while in use"
        except FileNotFoundError:
            return f"{path} was deleted while in use"
        except OSError as error:
            return f"{path} can't be read: {error.strerror}"
        return None

    def _refuse_no_file(self) -> None:
        """Nor what SQLite can't open. A device such as /dev/null is not to be closed to others."""
        if (length := len(os.fsencode(self.path.resolve()))) > MAX_PATH_BYTES:
            raise StartError(
                f"the database {self.path} can't be opened: its path has {length} bytes, at most "
                f"{MAX_PATH_BYTES} are taken: choose a shorter one"
            )
        if self.path.exists() and not self.path.is_file():
            raise StartError(f"the database {self.path} can't be opened: it is not a file")

    def _refuse_orphaned_log(self) -> None:
        """SQLite would delete a log whose database is gone, and with it results that stand in it alone."""
        gone = not self.path.exists() or self.path.stat().st_size == 0
        if gone and self._log.exists() and self._log.stat().st_size > 0:
            raise StartError(
                f"the database {self.path} is gone, but its write-ahead log is there: "
                f"put the database back, or remove {self._log} to begin with an empty one"
            )


def _tighten(path: Path) -> None:
    """Closes one of our files, which an earlier version may have left open to others."""
    try:
        found = path.stat()
        if found.st_uid == os.getuid() and found.st_mode & 0o077:
            path.chmod(OWNER_ONLY)
    except FileNotFoundError:
        pass
