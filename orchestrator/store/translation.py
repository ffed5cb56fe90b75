"""What the database's errors mean: can it not be used just now, or does it refuse what was to be written?"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    InvalidRequestError,
    PendingRollbackError,
    ResourceClosedError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from orchestrator.errors import ContentRefusedError, StoreUnavailableError

# PostgreSQL's errors that are about the content, by the first two characters of their codes: data exceptions,
# broken constraints, and what is too large for a row or an index.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
CONTENT_CODES = ("22", "23", "54")
FOREIGN = (
    *(StatementError, PoolTimeoutError, DisconnectionError, PendingRollbackError, ResourceClosedError),
    *(sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError),
)


@contextmanager
def translated(*, writing: bool = False) -> Iterator[None]:
    """Raises StoreUnavailableError for the database's own errors, ContentRefusedError for the content's."""
    try:
        yield
    except FOREIGN as error:
        if writing and _is_of_content(error):
            raise ContentRefusedError(_kind(error)) from error
        if isinstance(getattr(error, "orig", None), InvalidRequestError):  # a statement of ours is wrong
            raise
        raise StoreUnavailableError(reason(error)) from error
    except (UnicodeError, OverflowError) as error:  # from a driver: the value can't be sent at all
        if not writing:
            raise
        raise ContentRefusedError(_kind(error)) from error


def reason(error: BaseException) -> str:
    """What the driver said, without the statement and its parameters: those hold student texts."""
    original = _original(error)
    if isinstance(original, ValueError) and not isinstance(original, asyncpg.ClientConfigurationError):
        return type(original).__name__  # it quotes the value
    said = original.args[0] if isinstance(original, asyncpg.PostgresError) and original.args else original
    return " ".join(str(said).split())[:200] or type(original).__name__


def _is_of_content(error: BaseException) -> bool:
    original = _original(error)
    if isinstance(error, IntegrityError):
        return True
    if isinstance(original, sqlite3.Error):
        if isinstance(original, sqlite3.InterfaceError | sqlite3.ProgrammingError):
            return "binding" in str(original)
        return isinstance(original, sqlite3.DataError)
    if isinstance(original, asyncpg.PostgresError):
        return str(original.sqlstate or "")[:2] in CONTENT_CODES
    # A value that its column can't hold, found before anything was sent. Certificates raise ValueError, too.
    return isinstance(original, ValueError | OverflowError | TypeError) and not isinstance(
        original, OSError | asyncpg.ClientConfigurationError
    )


def _kind(error: BaseException) -> str:
    """The kind of error alone: messages about content quote it."""
    original = _original(error)
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__} ({code})" if code else type(original).__name__


def _original(error: BaseException) -> BaseException:
    """The driver's own error, which SQLAlchemy wraps, for asyncpg twice."""
    original = getattr(error, "orig", None) or error
    if isinstance(error, DBAPIError) and not isinstance(original, sqlite3.Error) and original.__cause__:
        return original.__cause__
    return original if isinstance(original, BaseException) else error
