"""How we connect to PostgreSQL: what people write behind the "?" of a URL, and limits on every wait."""

import ssl
from typing import Any

from sqlalchemy import URL

from orchestrator.errors import StartError

# libpq's names. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SSL_FILES = ("sslrootcert", "sslcert", "sslkey")


def connect_arguments(url: URL, timeout_s: float, lease_s: float) -> tuple[URL, dict[str, Any]]:
    """The URL without its options, and asyncpg's arguments that say the same. Raises StartError."""
    query = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    mode = query.pop("sslmode", query.pop("ssl", None))
    files = {name: query.pop(name) for name in SSL_FILES if name in query}
    connect_s = _seconds(query.pop("connect_timeout", None), timeout_s)
    # A process that is stopped in the middle of a transaction keeps its locks until the server ends that.
    idle_ms = int(1000 * min(timeout_s, lease_s / 2))
    arguments: dict[str, Any] = {
        "timeout": connect_s,
        "command_timeout": timeout_s,
        "server_settings": {
            "application_name": query.pop("application_name", "avalua"),
            "idle_in_transaction_session_timeout": str(idle_ms),
            "statement_timeout": str(int(1000 * timeout_s)),
            "lock_timeout": str(int(1000 * timeout_s)),
        },
    }
    if mode is not None or files:
        arguments["ssl"] = _ssl(mode or "prefer", files)
    return url.set(query=query), arguments


def _ssl(mode: str, files: dict[str, str]) -> Any:
    """What asyncpg takes for a mode of libpq's: its word, or a context where certificates are named."""
    mode = {"true": "require", "false": "disable"}.get(mode.lower(), mode)
    if mode not in SSL_MODES:
        raise StartError(f"DATABASE_URL: sslmode={mode} must be one of {', '.join(SSL_MODES)}")
    if mode == "disable" or not files:
        return mode
    try:
        context = ssl.create_default_context(cafile=files.get("sslrootcert"))
        if "sslcert" in files:
            context.load_cert_chain(files["sslcert"], files.get("sslkey"))
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"DATABASE_URL: its certificates can't be read: {error}") from None
    context.check_hostname = mode == "verify-full"
    if "sslrootcert" not in files or not mode.startswith("verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _seconds(given: str | None, otherwise: float) -> float:
    try:
        return float(given) if given is not None else otherwise
    except ValueError:
        raise StartError(f"DATABASE_URL: connect_timeout={given} must be a number of seconds") from None
