"""The connection to the database: how it opens, and how transactions begin and end."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from orchestrator.errors import StartError, StoreUnavailableError
from orchestrator.store import postgresql, sqlite
from orchestrator.store.files import DatabaseFiles
from orchestrator.store.postgresql import CLOCK, PATIENCE, Patience
from orchestrator.store.translation import FOREIGN, reason, translated
from orchestrator.store.wal import WriteAheadLog

READERS = 3
WRITERS = 4  # on PostgreSQL: commits, claims, new jobs and the purge go side by side
PING_S = 5.0
MIGRATION_S = 60
MIGRATING = 0x61766C01
"""Number of PostgreSQL's advisory lock for who brings the schema up to date."""


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
        self._writing: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.sqlite else nullcontext()
        # The pool of PostgreSQL's connections has a bound and a deadline of its own.
        self._reading: AbstractAsyncContextManager[Any] = (
            asyncio.Semaphore(READERS) if self.sqlite else nullcontext()
        )

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
                await self._check()
            async with self._transaction(MIGRATION_S + self._timeout_s) as connection:
                await connection.run_sync(_migrate)
            if self._files is not None:
                await self.try_write()
                self._log = await asyncio.to_thread(WriteAheadLog, self._files.path)
                await self.checkpoint()
                self._files.watch(self._version)
        except (*FOREIGN, StoreUnavailableError) as error:
            await self.close()
            raise StartError(f"the database {self._shown} can't be used: {reason(error)}") from error
        except BaseException:
            await self.close()
            raise

    def _create_engine(self) -> AsyncEngine:
        if self.sqlite:
            return sqlite.create_engine(self._url, READERS + 1, self._timeout_s)
        # One more for who listens.
        return postgresql.create_engine(self._url, READERS + WRITERS + 1, self._timeout_s, self._lease_s)

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
        async with self._transaction(self._timeout_s) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, silence_s: float) -> AsyncIterator[AsyncConnection]:
        with translated(writing=True):
            async with self._writing:
                self._check_files()
                async with self._connected(silence_s) as connection, connection.begin():
                    yield connection
                self._check_files()  # what was committed into a file that is gone isn't

    async def try_write(self) -> None:
        """Writes next to nothing, to see whether the database can be written."""
        async with self.write() as connection:
            if self.sqlite:
                await connection.exec_driver_sql(f"PRAGMA user_version = {self._version}")
            else:
                await connection.execute(text("SELECT pg_current_xact_id()"))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A snapshot to read from."""
        with translated():
            async with self._reading, self._connected(self._timeout_s) as connection:
                yield await connection.execution_options(**{sqlite.READ_ONLY: True})

    @asynccontextmanager
    async def _connected(self, silence_s: float) -> AsyncIterator[AsyncConnection]:
        """One of our connections. PostgreSQL may be silent for so long: then it counts as gone."""
        if self.sqlite:
            async with self._open_engine.connect() as connection:
                yield connection
            return
        patience: Patience | None = None
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._timeout_s):
                    connection = await stack.enter_async_context(self._open_engine.connect())
                    raw = await connection.get_raw_connection()
                raw.info[PATIENCE] = patience = Patience(raw.driver_connection, silence_s)
                patience.renew()
                yield connection
        except FOREIGN as error:
            if patience is not None and patience.over:
                raise StoreUnavailableError(f"it did not answer for {silence_s:g} s") from error
            raise
        finally:
            if patience is not None:
                patience.stop()

    async def now(self) -> float:
        """Seconds since the epoch, by the database's clock."""
        if self.sqlite:
            return time.time()
        async with self.read() as connection:
            return float((await connection.execute(text(f"SELECT {CLOCK}"))).scalar_one())

    async def listen(self, channel: str, heard: Callable[..., None], ready: Callable[[], None]) -> None:
        """Hears PostgreSQL's NOTIFY for as long as the connection lives.

        Calls `ready` once it hears. Raises StoreUnavailableError when the connection is lost.
        """
        lost = asyncio.Event()
        with translated():
            async with self._connected(self._timeout_s) as connection:
                raw = await connection.get_raw_connection()
                driver: Any = raw.driver_connection
                patience: Patience = raw.info[PATIENCE]
                driver.add_termination_listener(lambda _: lost.set())
                await driver.add_listener(channel, heard)
                ready()
                try:
                    while not driver.is_closed():
                        patience.stop()
                        try:
                            async with asyncio.timeout(PING_S):
                                await lost.wait()
                        except TimeoutError:  # a network that is gone says nothing by itself
                            patience.renew()
                            await driver.execute("SELECT 1")
                finally:
                    patience.stop()
                    await connection.invalidate()  # nobody else is to have one that hears
        raise StoreUnavailableError("the connection was lost")

    async def vacuum(self) -> bool:
        """Gives some of the room of deleted rows back to the file system; true while there is more.

        PostgreSQL does that by itself.
        """
        if not self.sqlite:
            return False
        with translated():
            async with self._writing, self._open_engine.connect() as connection:
                return await sqlite.vacuum(connection)

    async def checkpoint(self) -> bool:
        """Empties the write-ahead log into the database; false where somebody who reads is in the way.

        Deleted texts stand in the log until then. It does not wait: that would keep every writer waiting.
        """
        if self._log is None:
            return True
        with translated():
            async with self._writing:
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


def _files(path: str | None) -> DatabaseFiles:
    if path in (None, "", ":memory:"):
        raise StartError("DATABASE_URL: jobs have to survive a restart, so the database must be a file")
    return DatabaseFiles(Path(str(path)).absolute())


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # several processes may start at once
        for setting in ("statement_timeout", "lock_timeout"):
            connection.execute(text(f"SET LOCAL {setting} = '{MIGRATION_S}s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATING})"))
    config = Config()
    config.set_main_option("script_location", "orchestrator.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
