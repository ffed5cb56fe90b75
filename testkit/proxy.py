"""A TCP relay before a server: its connections can be cut, or left open while nothing passes."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

from local_stack.ports import free_ports

CHUNK_BYTES = 64 * 1024
LINGER_NOT = struct.pack("ii", 1, 0)
"""Closing then resets the connection, instead of ending it in good order."""


class Proxy:
    """Listens on ``port`` and relays to ``target``, both on this machine. Use as a context manager."""

    def __init__(self, target: int, port: int | None = None) -> None:
        self.port = free_ports(1)[0] if port is None else port
        self.connections = 0
        """Those that were taken so far."""
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._connected = asyncio.Condition()
        self._server: asyncio.Server

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def passing(self) -> bool:
        """Whether anything passes: not between ``block`` and ``heal``."""
        return self._passing.is_set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> int:
        """Reset every connection; how many ends there were."""
        writers, self._writers = self._writers, set()
        for writer in writers:
            _reset(writer)
        return len(writers)

    def block(self) -> None:
        """Let nothing pass, not even a connection's end: as a network does that is parted.

        Connections stay open, new ones are taken and hear nothing.
        """
        self._passing.clear()

    def heal(self) -> None:
        """Let all pass again: first what was sent meanwhile."""
        self._passing.set()

    async def until_connections(self, count: int) -> None:
        """Return once so many connections were taken; the caller has a deadline."""
        async with self._connected:
            await self._connected.wait_for(lambda: self.connections >= count)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._own(asyncio.create_task(self._serve(reader, writer)))
        async with self._connected:
            self.connections += 1
            self._connected.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._passing.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # the server is away: so are we
            self._writers.discard(writer)
            _reset(writer)
            return
        if writer not in self._writers:  # it was cut meanwhile
            _reset(far_writer)
            return
        self._writers.add(far_writer)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._own(asyncio.create_task(self._relay(source, sink)))

    async def _relay(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                await self._passing.wait()
                sink.write(data)
                await sink.drain()
            await self._passing.wait()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(sink)
            sink.close()

    def _own(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # it was closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    writer.transport.abort()
