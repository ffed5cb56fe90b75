"""The relay that parts servers from each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from testkit.proxy import Proxy

WAIT_S = 10.0
SHORT_S = 0.2

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that gives every line back; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[Stream]:
    """A connection through the proxy."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def say(stream: Stream, line: bytes) -> bytes:
    """The answer to a line."""
    reader, writer = stream
    writer.write(line)
    async with asyncio.timeout(WAIT_S):
        return await reader.readline()


async def test_what_is_said_comes_back() -> None:
    """Both directions pass, and an end ends both sides."""
    async with echo() as port, Proxy(port) as proxy, connected(proxy) as stream:
        assert await say(stream, b"one\n") == b"one\n"
        stream[1].write_eof()
        async with asyncio.timeout(WAIT_S):
            assert await stream[0].read() == b""
        assert proxy.connections == 1


async def test_a_cut_resets_what_is_open_and_takes_what_is_new() -> None:
    """Both ends of a connection are reset; the next connection works."""
    async with echo() as port, Proxy(port) as proxy, connected(proxy) as stream:
        await say(stream, b"one\n")
        assert proxy.cut() == 2
        with pytest.raises(ConnectionResetError):
            await say(stream, b"two\n")
        async with connected(proxy) as another:
            assert await say(another, b"three\n") == b"three\n"


async def test_a_block_keeps_connections_open_and_silent_until_it_is_healed() -> None:
    """Old and new ones alike; what was said meanwhile arrives then."""
    async with echo() as port, Proxy(port) as proxy, connected(proxy) as old:
        await say(old, b"one\n")
        proxy.block()
        async with connected(proxy) as new:
            async with asyncio.timeout(WAIT_S):
                await proxy.until_connections(2)
            answers = [asyncio.create_task(say(stream, b"two\n")) for stream in (old, new)]
            done, _ = await asyncio.wait(answers, timeout=SHORT_S)
            assert not done
            proxy.heal()
            assert await asyncio.gather(*answers) == [b"two\n", b"two\n"]


async def test_a_blocked_connection_can_be_cut() -> None:
    """Also one that has not reached the server yet: it never does."""
    async with echo() as port, Proxy(port) as proxy:
        proxy.block()
        async with connected(proxy) as stream:
            async with asyncio.timeout(WAIT_S):
                await proxy.until_connections(1)
            assert proxy.cut() == 1
            proxy.heal()
            with pytest.raises(ConnectionResetError):
                await say(stream, b"one\n")


async def test_a_server_that_is_away_resets_its_callers() -> None:
    """As its machine would."""
    async with echo() as port:
        pass
    async with Proxy(port) as proxy, connected(proxy) as stream:
        with pytest.raises(ConnectionResetError):
            await say(stream, b"one\n")
