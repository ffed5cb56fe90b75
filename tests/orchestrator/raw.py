"""Connections by hand, for what no well-behaved client does."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.orchestrator.client import WAIT_S, Client

SMALL_BUFFER = 4096


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Raw:
    """One connection, as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The next answer; it must say its length."""
        async with asyncio.timeout(WAIT_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.partition(": ") for line in head[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split()[1]), headers, body)

    async def closed(self) -> None:
        """Returns when the other end has closed; what comes before that is read and forgotten."""
        async with asyncio.timeout(WAIT_S):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass


@asynccontextmanager
async def connected(client: Client, *, small_buffer: bool = False) -> AsyncIterator[Raw]:
    """A connection; with `small_buffer` the kernel takes little for a client that reads nothing."""
    host, port = client.base.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setblocking(False)
    if small_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=sock, limit=SMALL_BUFFER if small_buffer else 65536)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


def head(method: str, path: str, *lines: str, host: str | None = "127.0.0.1", version: str = "1.1") -> bytes:
    """A request's header."""
    hosts = [f"Host: {host}"] if host is not None else []
    return "\r\n".join([f"{method} {path} HTTP/{version}", *hosts, *lines, "", ""]).encode()


def post(*lines: str, **more: Any) -> bytes:
    return head("POST", "/evaluate", "Content-Type: application/json", *lines, **more)
