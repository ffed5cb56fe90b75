"""DATABASE_URL as people write it: what stands behind the "?" works, or is refused in one clear line."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from orchestrator.config import Settings
from orchestrator.errors import StartError
from orchestrator.store import open_store
from testkit.postgres import PostgresServer
from tests.orchestrator.store.conftest import create, settings_of

SSL_REQUEST_BYTES = 8


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed, for localhost; its key lies beside it."""
    folder = tmp_path_factory.mktemp("certificate")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return folder / "cert.pem"


@asynccontextmanager
async def encrypting(server: PostgresServer, certificate: Path) -> AsyncIterator[tuple[int, list[str]]]:
    """Speaks TLS before a server that was built without; gives its port, and what it saw of each caller."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    seen: list[str] = []
    callers: set[asyncio.Task[None]] = set()

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.add(asyncio.current_task())  # type: ignore[arg-type]
        await reader.readexactly(SSL_REQUEST_BYTES)
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except (ssl.SSLError, OSError):
            seen.append("refused")
            return
        seen.append("encrypted")
        back, forth = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, forth), pump(back, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1], seen
        if callers:
            await asyncio.wait(callers, timeout=10)


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=require",
        "ssl=require",
        "ssl=true",
        "sslmode=verify-full&sslrootcert={cert}",
        "sslmode=prefer",
    ],
)
async def test_an_encrypted_connection_is_had_as_it_is_written(
    postgres: PostgresServer, certificate: Path, options: str
) -> None:
    """Under libpq's names and the driver's; everything then goes through it."""
    name = postgres.create_database().rpartition("/")[2]
    async with encrypting(postgres, certificate) as (port, seen):
        url = f"postgresql://postgres@localhost:{port}/{name}?{options.format(cert=certificate)}"
        async with open_store(settings_of(url)) as store:
            await create(store)
    assert set(seen) == {"encrypted"}


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=verify-full",  # by nobody known
        "sslmode=verify-full&sslrootcert=system",
        "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
    ],
)
async def test_a_certificate_that_nobody_vouches_for_stops_the_start(
    postgres: PostgresServer, certificate: Path, options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one line; nothing is sent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    async with encrypting(postgres, certificate) as (port, seen):
        url = f"postgresql://postgres@localhost:{port}/postgres?{options}"
        with pytest.raises(StartError) as caught:
            async with open_store(settings_of(url)):
                pass
    assert "\n" not in str(caught.value)
    assert "encrypted" not in seen


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=disable",
        "ssl=disable",
        "connect_timeout=3",
        "connect_timeout=0",
        "timeout=3",
        "application_name=marks",
        "options=-c%20search_path%3Dpublic",
        "keepalives=1&keepalives_idle=30",
        "target_session_attrs=read-write",
        "sslmode=prefer",
    ],
)
async def test_options_that_people_write_work(postgres: PostgresServer, options: str) -> None:
    """Also on a server without TLS, where none is asked for."""
    async with open_store(settings_of(f"{postgres.create_database()}?{options}")) as store:
        await create(store)
        async with store.database.read() as connection:
            name = (await connection.execute(text("SHOW application_name"))).scalar_one()
    assert name == ("marks" if "marks" in options else "avalua")


async def test_an_address_may_stand_among_the_options(postgres: PostgresServer) -> None:
    """As where a socket's folder has to be named."""
    name = postgres.create_database().rpartition("/")[2]
    url = f"postgresql:///{name}?host=127.0.0.1&port={postgres.port}&user=postgres"
    async with open_store(settings_of(url)) as store:
        await create(store)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://db/avalua?sslmode=always", "sslmode must be one of disable"),
        ("postgresql://db/avalua?connect_timeout=soon", "connect_timeout must be a whole number"),
        ("postgresql://db/avalua?channel_binding=require", "does not know the option channel_binding"),
        ("postgresql://db/avalua?pool_size=3", "does not know the option pool_size"),
        ("postgresql://db:port/avalua", "is not a URL"),
        ("mysql://db/avalua", "must begin with"),
        ("avalua", "must be a URL"),
    ],
)
def test_what_the_driver_does_not_know_is_named(url: str, said: str) -> None:
    """Before anything is started."""
    with pytest.raises(ValidationError, match=said):
        Settings(database_url=url)


def test_a_password_may_hold_anything() -> None:
    """Written as URLs have it."""
    checked = Settings(database_url="postgresql://me:p%40ss%2F%3F%25@db/avalua?ssl=require").database_url
    assert checked == "postgresql+asyncpg://me:p%40ss%2F%3F%25@db/avalua?sslmode=require"
