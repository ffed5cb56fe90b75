"""DATABASE_URL as people write it, checked and brought into one form."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+asyncpg"
# Drivers that speak asyncio, by the dialect that people write in a URL.
ASYNC_DRIVERS = {"sqlite": SQLITE, "postgres": POSTGRESQL, "postgresql": POSTGRESQL}

# What may stand behind the "?" of a PostgreSQL URL: libpq's names, as far as the driver knows them.
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
OPTIONS = frozenset(
    [
        "host",
        "port",
        "dbname",
        "user",
        "password",
        "passfile",
        "service",
        "options",
        "application_name",
        "connect_timeout",
        "target_session_attrs",
        "sslmode",
        "sslnegotiation",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslrootcert",
        "sslcrl",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "krbsrvname",
        "gsslib",
    ]
)
OTHER_NAMES = {"ssl": "sslmode", "timeout": "connect_timeout"}
# They change nothing about what is said to whom; we have limits of our own on every wait.
IGNORED = frozenset(
    [
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
        "fallback_application_name",
    ]
)
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SSL_WORDS = {"true": "require", "1": "require", "false": "disable", "0": "disable"}


def checked(value: str) -> str:
    """The URL with the driver that we use, and options under libpq's names. Raises ValueError."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        raise ValueError("must be a URL such as sqlite:///data/avalua.sqlite3 or postgresql://host/name")
    scheme = ASYNC_DRIVERS.get(scheme, scheme)
    if scheme not in ASYNC_DRIVERS.values():
        raise ValueError(f"must begin with one of {', '.join(sorted(ASYNC_DRIVERS))}")
    try:
        url = make_url(f"{scheme}://{rest}")
    except (ArgumentError, ValueError):  # the port is no number, for one
        raise ValueError("is not a URL such as postgresql://user:password@host:5432/name") from None
    if scheme == SQLITE:
        if url.query or "\0" in (url.database or ""):
            raise ValueError("must be the path of a file, with no %00 in it and nothing behind a ?")
        return f"{scheme}://{rest}"
    return url.set(query=_options(url)).render_as_string(hide_password=False)


def _options(url: URL) -> dict[str, str]:
    """What stands behind the "?", under libpq's names."""
    options = {}
    for given, value in url.query.items():
        name = OTHER_NAMES.get(given, given)
        if name in IGNORED:
            continue
        if name not in OPTIONS:
            raise ValueError(f"its driver does not know the option {name}: leave it out")
        options[name] = value if isinstance(value, str) else ",".join(value)
    mode = options.get("sslmode")
    if mode is not None:
        options["sslmode"] = mode = SSL_WORDS.get(mode.lower(), mode)
        if mode not in SSL_MODES:
            raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")
    wait = options.get("connect_timeout")
    if wait is not None and not wait.removeprefix("-").isdecimal():
        raise ValueError("connect_timeout must be a whole number of seconds")
    return options
