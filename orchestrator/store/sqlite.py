"""How we talk to SQLite: what each connection is told, how transactions begin, and room given back."""

from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

READ_ONLY = "avalua_read_only"
VACUUM_PAGES = 200


def create_engine(url: URL, size: int, timeout_s: float) -> AsyncEngine:
    """Connections to the file behind `url`, at most `size`; a lock is waited for `timeout_s`."""
    engine = create_async_engine(
        url, pool_size=size, max_overflow=0, pool_timeout=timeout_s, connect_args={"timeout": timeout_s}
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


async def vacuum(connection: AsyncConnection) -> bool:
    """Gives some of the room of deleted rows back to the file system; true while there is more."""
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    before = await _number(driver, "PRAGMA freelist_count")
    # The pragma gives back one page a step; only a script is run to its end by the driver.
    await driver.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
    return 0 < await _number(driver, "PRAGMA freelist_count") < before


async def _number(driver: Any, pragma: str) -> int:
    async with driver.execute(pragma) as cursor:
        return int((await cursor.fetchone())[0])


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, in _begin
    # Damaged bytes must not make a whole query fail: who reads the text itself finds that it makes no sense.
    connection.driver_connection.text_factory = _text
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


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _begin(connection: Connection) -> None:
    # A writer takes its lock at once: one that reads first may fail later with "database is locked".
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-transactions
    deferred = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN DEFERRED" if deferred else "BEGIN IMMEDIATE")
