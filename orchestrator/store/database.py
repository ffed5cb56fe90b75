"""The connection to the database: how it opens, how transactions begin, and what its errors mean."""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from orchestrator.errors import ContentRefusedError, StartError, StoreUnavailableError
from orchestrator.store.files import DatabaseFiles
from orchestrator.store.postgresql import connect_arguments
from orchestrator.store.wal import WriteAheadLog

READERS = 3
WRITERS = 4  # on PostgreSQL: commits, claims, new jobs and the purge go side by side
VACUUM_PAGES = 200
MIGRATING = 0x61766C01
"""Number of PostgreSQL's advisory lock for who brings the schema up to date."""
# PostgreSQL's errors that are about the content, by the first two characters of their codes: data exceptions
# and broken constraints. https://www.postgresql.org/docs/current/errcodes-appendix.html
CONTENT_CODES = ("22", "23")
CLOCK = "extract(epoch FROM clock_timestamp())"
"""PostgreSQL's clock, in seconds since the epoch."""


class Database:
    """A few readers and, on SQLite, one writer at a time.

    Errors are StoreUnavailableError, or ContentRefusedError where trying again would not help.
    """

    def __init__(self, url: str, timeout_s: float, lease_s: float = 15.0) -> None:
        """`lease_s`: a process that is stopped must not keep rows locked for longer."""
        self._url = make_url(url)
        self._timeout_s = timeout_s
        self._lease_s = lease_s
        self._engine: AsyncEngine | None = None
        self._files: DatabaseFiles | None = None
        self._log: WriteAheadLog | None = None
        self._version = secrets.randbelow(1 << 31)
        # SQLite has one writer: those who wait do it here, where it is fair and costs nothing.
        self._writing = asyncio.Lock()
        self._reading = asyncio.Semaphore(READERS)

    @property
    def sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Connects, checks what is there, and brings the schema up to date."""
        if self.sqlite:
            self._files = _files(self._url.database)
            self._files.claim()
        try:
            self._engine = self._create_engine()
            if self.sqlite:
                event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
                event.listen(self._engine.sync_engine, "begin", _begin_sqlite)
                await self._check()
            async with self.write() as connection:
                await connection.run_sync(_migrate)
            if self._files is not None:
                await self.try_write()
                self._log = await asyncio.to_thread(WriteAheadLog, self._files.path)
                await self.checkpoint()
                self._files.watch(self._version)
        except ModuleNotFoundError as error:
            await self.close()
            raise StartError(f"DATABASE_URL: its driver {error.name} is not installed") from None
        except (DBAPIError, OSError, StoreUnavailableError) as error:
            await self.close()
            raise StartError(f"the database {self._shown} can't be used: {reason(error)}") from error
        except TypeError as error:  # from the driver, which is handed what stands behind the "?"
            await self.close()
            raise StartError(f"DATABASE_URL: its driver does not take that: {reason(error)}") from None
        except BaseException:
            await self.close()
            raise

    def _create_engine(self) -> AsyncEngine:
        options: dict[str, Any] = {"max_overflow": 0, "pool_timeout": self._timeout_s}
        if self.sqlite:
            arguments = {"timeout": self._timeout_s}
            return create_async_engine(self._url, pool_size=READERS + 1, connect_args=arguments, **options)
        url, arguments = connect_arguments(self._url, self._timeout_s, self._lease_s)
        return create_async_engine(
            url, pool_size=READERS + WRITERS + 1, pool_pre_ping=True, connect_args=arguments, **options
        )

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None
        if self._log is not None:
            await asyncio.to_thread(self._log.close)
            self._log = None
        if self._files is not None:
            self._files.close()
            self._files = None

    def lost(self) -> str | None:
        """What became of the database's files, if something did: nothing written now would be found again."""
        return self._files.lost() if self._files is not None else None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write; committed when the block ends, rolled back if it raises."""
        if not self.sqlite:
            async with (
                self._translated(writing=True),
                self._deadline(),
                self._open_engine.begin() as connection,
            ):
                yield connection
            return
        async with self._writing, self._translated(writing=True):
            self._check_files()
            async with self._open_engine.begin() as connection:
                yield connection
            self._check_files()  # what was committed into a file that is gone isn't

    async def try_write(self) -> None:
        """Writes next to nothing, to see whether the database can be written."""
        async with self.write() as connection:
            if self.sqlite:
                await connection.exec_driver_sql(f"PRAGMA user_version = {self._version}")
            else:
                await connection.execute(text("SELECT txid_current()"))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot to read from."""
        async with (
            self._reading,
            self._translated(),
            self._deadline(),
            self._open_engine.connect() as connection,
        ):
            yield await connection.execution_options(avalua_read_only=True)

    async def now(self) -> float:
        """Seconds since the epoch, by the database's clock."""
        if self.sqlite:
            return time.time()
        async with self.read() as connection:
            return float((await connection.execute(text(f"SELECT {CLOCK}"))).scalar_one())

    @asynccontextmanager
    async def listen(
        self, channel: str, heard: Callable[..., None]
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """PostgreSQL's LISTEN on a connection of its own; gives what raises once that is broken."""
        async with self._translated(), self._open_engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            await driver.add_listener(channel, heard)

            async def check() -> None:
                async with self._translated():
                    await driver.execute("SELECT 1")

            try:
                yield check
            finally:
                await connection.invalidate()  # nobody else is to hear of it

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        """A network that swallows everything must not keep anybody waiting."""
        if self.sqlite:
            yield
            return
        async with asyncio.timeout(self._timeout_s):
            yield

    async def vacuum(self) -> bool:
        """Gives some of the room of deleted rows back to the file system; true while there is more.

        PostgreSQL does that by itself.
        """
        if not self.sqlite:
            return False
        async with self._writing, self._translated(), self._open_engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            before = await _number(driver, "PRAGMA freelist_count")
            # The pragma gives back one page a step; only a script is run to its end by the driver.
            await driver.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            return 0 < await _number(driver, "PRAGMA freelist_count") < before

    async def checkpoint(self) -> bool:
        """Empties the write-ahead log into the database; false where somebody who reads is in the way.

        Deleted texts stand in the log until then. It does not wait: that would keep every writer waiting.
        """
        if self._log is None:
            return True
        async with self._writing, self._translated():
            return await asyncio.to_thread(self._log.empty)

    def _check_files(self) -> None:
        if (problem := self.lost()) is not None:
            raise StoreUnavailableError(problem)

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

    @asynccontextmanager
    async def _translated(self, *, writing: bool = False) -> AsyncIterator[None]:
        try:
            yield
        except (DBAPIError, StatementError, PoolTimeoutError, sqlite3.Error, OSError) as error:
            if writing and _of_content(error):
                raise ContentRefusedError(reason(error)) from error
            raise StoreUnavailableError(reason(error)) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "asyncpg":  # not every one is wrapped
                raise StoreUnavailableError(reason(error)) from error
            raise


def _of_content(error: BaseException) -> bool:
    """Whether it is what was to be written that the database refuses."""
    original = getattr(error, "orig", None)
    if isinstance(error, IntegrityError):
        return True
    if isinstance(original, sqlite3.DataError | UnicodeError | OverflowError):
        return True
    if isinstance(original, sqlite3.InterfaceError | sqlite3.ProgrammingError):
        return "binding" in str(original)
    code = str(getattr(original, "sqlstate", None) or "")
    # An error before the driver was asked: a value that can't be written as what its column holds.
    return code[:2] in CONTENT_CODES or not isinstance(error, DBAPIError | PoolTimeoutError | OSError)


def reason(error: BaseException) -> str:
    """What the driver said, without the statement and its parameters: those hold student texts."""
    original = getattr(error, "orig", None) or error
    return " ".join(str(original).split())[:200] or type(original).__name__


def _files(path: str | None) -> DatabaseFiles:
    if path in (None, "", ":memory:"):
        raise StartError("DATABASE_URL: jobs have to survive a restart, so the database must be a file")
    return DatabaseFiles(Path(str(path)).absolute())


async def _number(driver: Any, pragma: str) -> int:
    async with driver.execute(pragma) as cursor:
        return int((await cursor.fetchone())[0])


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, in _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        "auto_vacuum = INCREMENTAL",  # only has an effect on an empty file, so it comes first
        "journal_mode = WAL",
        "synchronous = FULL",  # what a client has seen survives a power cut too
        "foreign_keys = ON",
        "journal_size_limit = 67108864",
        "secure_delete = ON",  # what is deleted is overwritten
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its lock at once: one that reads first may fail later with "database is locked".
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-transactions
    deferred = connection.get_execution_options().get("avalua_read_only", False)
    connection.exec_driver_sql("BEGIN DEFERRED" if deferred else "BEGIN IMMEDIATE")


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # several processes may start at once
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATING})"))
    config = Config()
    config.set_main_option("script_location", "orchestrator.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
