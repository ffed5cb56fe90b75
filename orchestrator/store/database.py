"""The connection to the database: how it opens, how transactions begin, and what its errors mean."""

import asyncio
import fcntl
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from orchestrator.errors import StartError, StoreUnavailableError

READERS = 3
VACUUM_PAGES = 200


class Database:
    """One writer at a time and a few readers. Errors of the database are StoreUnavailableError."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = make_url(url)
        self._timeout_s = timeout_s
        self._engine: AsyncEngine | None = None
        self._lock_file: IO[bytes] | None = None
        # SQLite has one writer: those who wait do it here, where it is fair and costs nothing.
        self._writing = asyncio.Lock()
        self._reading = asyncio.Semaphore(READERS)

    @property
    def sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Connects, checks what is there, and brings the schema up to date."""
        if self.sqlite:
            self._claim_file()
        options: dict[str, Any] = {"connect_args": {"timeout": self._timeout_s}} if self.sqlite else {}
        try:
            self._engine = create_async_engine(
                self._url, pool_size=READERS + 1, max_overflow=0, pool_timeout=self._timeout_s, **options
            )
        except ModuleNotFoundError as error:
            raise StartError(f"DATABASE_URL: its driver {error.name} is not installed") from None
        if self.sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite)
        try:
            if self.sqlite:
                await self._check()
            async with self.write() as connection:
                await connection.run_sync(_migrate)
        except (DBAPIError, OSError, StoreUnavailableError) as error:
            await self.close()
            raise StartError(f"the database {self._shown} can't be used: {reason(error)}") from error
        except StartError:
            await self.close()
            raise

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None
        self._unclaim_file()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write; committed when the block ends, rolled back if it raises."""
        async with self._writing, self._translated(), self._open_engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot to read from."""
        async with self._reading, self._translated(), self._open_engine.connect() as connection:
            yield await connection.execution_options(avalua_read_only=True)

    async def vacuum(self) -> None:
        """Gives some of the room of deleted rows back to the file system; PostgreSQL does that by itself."""
        if not self.sqlite:
            return
        async with self._writing, self._translated(), self._open_engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            # The pragma gives back one page a step; only a script is run to its end by the driver.
            await driver.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")

    @property
    def _open_engine(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailableError("the database is closed")
        return self._engine

    @property
    def _shown(self) -> str:
        return self._url.database or "" if self.sqlite else self._url.render_as_string(hide_password=True)

    async def _check(self) -> None:
        async with self.read() as connection:
            problem = (await connection.execute(text("PRAGMA quick_check(1)"))).scalar_one()
        if problem != "ok":
            raise StartError(f"the database {self._shown} is damaged: {' '.join(problem.split())[:200]}")

    def _claim_file(self) -> None:
        """One service a file: two would send every item twice. The lock ends with the process."""
        if self._url.database in (None, "", ":memory:"):
            raise StartError("DATABASE_URL: jobs have to survive a restart, so the database must be a file")
        path = Path(str(self._url.database))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock_file = path.with_name(path.name + ".lock").open("wb")
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._unclaim_file()
            raise StartError(f"the database {path} is in use by another orchestrator") from None
        except OSError as error:
            self._unclaim_file()
            raise StartError(f"the database {path} can't be opened: {error.strerror}") from None

    def _unclaim_file(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeoutError, sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(reason(error)) from error


def reason(error: BaseException) -> str:
    """What the driver said, without the statement and its parameters: those hold student texts."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())[:200] or type(original).__name__


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, in _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        "auto_vacuum = INCREMENTAL",  # only has an effect on an empty file, so it comes first
        "journal_mode = WAL",
        "synchronous = FULL",  # what a client has seen survives a power cut too
        "foreign_keys = ON",
        "journal_size_limit = 67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one that reads first may fail later with "database is locked".
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-transactions
    deferred = connection.get_execution_options().get("avalua_read_only", False)
    connection.exec_driver_sql("BEGIN DEFERRED" if deferred else "BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "orchestrator.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
