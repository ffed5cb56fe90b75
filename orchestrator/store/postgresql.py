"""How we talk to PostgreSQL: the options of a URL, and a limit on every wait, on both ends."""

import asyncio
import ssl
from typing import Any
from urllib.parse import urlencode

import asyncpg
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

CLOCK = "extract(epoch FROM clock_timestamp())"
"""The database's clock, in seconds since the epoch."""
CLOSE_S = 0.2
"""For a good bye that nobody needs to hear."""
LOCK_SHARE = 0.8
"""Of the time that a statement may take, for waiting for a lock: the server says so before we hang up."""
PATIENCE = "avalua_patience"


class PromptlyClosed(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is closed at once, whatever has become of the network."""

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109  the driver's signature
        try:
            await super().close(timeout=min(CLOSE_S, timeout or CLOSE_S))
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.terminate()


class Patience:
    """Hangs up where the server stays silent for too long: whoever waits for it then gets an error.

    The driver's own timeouts ask the server to cancel first, and wait for that without a limit.
    """

    def __init__(self, driver: Any, timeout_s: float) -> None:
        self._driver = driver
        self.timeout_s = timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self.over = False

    def renew(self) -> None:
        """The server has so many seconds from now on."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(self.timeout_s, self._hang_up)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _hang_up(self) -> None:
        self.over = True
        self._driver.terminate()


def create_engine(url: URL, size: int, timeout_s: float, lease_s: float) -> AsyncEngine:
    """Connections to the database behind `url`, at most `size`.

    `lease_s`: so long a worker's claim lasts; one that is stopped keeps no row locked for longer.
    """
    engine = create_async_engine(
        url.set(query={}),
        pool_size=size,
        max_overflow=0,
        pool_timeout=timeout_s,
        connect_args=_connect_arguments(url, timeout_s, lease_s),
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "after_cursor_execute", _answered)
    return engine


def _connect_arguments(url: URL, timeout_s: float, lease_s: float) -> dict[str, Any]:
    """asyncpg's arguments beyond address and login."""
    options = {name: str(value) for name, value in url.query.items()}
    wait_s = int(options.pop("connect_timeout", 0))  # libpq: no limit where it is not above zero
    # A process that is stopped in the middle of a transaction has its locks until the server ends that.
    idle_s = min(timeout_s, lease_s / 2)
    arguments: dict[str, Any] = {
        "timeout": min(wait_s, timeout_s) if wait_s > 0 else timeout_s,
        "command_timeout": 2 * timeout_s,  # for what the driver asks by itself; the rest has our patience
        "connection_class": PromptlyClosed,
        "server_settings": {
            "idle_in_transaction_session_timeout": _ms(idle_s),
            "statement_timeout": _ms(timeout_s),
            "lock_timeout": _ms(timeout_s * LOCK_SHARE),
        },
    }
    options.setdefault("application_name", "avalua")
    if options.get("sslrootcert") == "system":  # as libpq has it: the machine's certificates, and full checks
        del options["sslrootcert"]
        options.pop("sslmode", None)
        arguments["ssl"] = ssl.create_default_context()
    # The driver understands the rest by libpq's rules, if it gets it as such a URL.
    arguments["dsn"] = f"postgresql://?{urlencode(options)}"
    return arguments


def _ms(seconds: float) -> str:
    return str(max(1, int(1000 * seconds)))


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """A restart of the database closes all connections: the pool makes new ones, without asking each."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError("the server has closed it")


def _answered(connection: Connection, *_: Any) -> None:
    patience = connection.info.get(PATIENCE)
    if patience is not None:
        patience.renew()
