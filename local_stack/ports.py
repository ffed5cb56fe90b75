"""Ports for servers that live as long as a benchmark or a test."""

from __future__ import annotations

import random
import socket
import threading
from pathlib import Path

BLOCK = 128
FIRST, END = 20_000, 32_768
"""Where Linux by default takes no port for an outgoing connection: those begin at END."""


class PortsExhaustedError(RuntimeError):
    """Every block of ports belongs to another process."""


class PortPool:
    """Hands out free ports, none of them twice, and none that another pool of this machine hands out.

    A pool takes whole blocks. The mark of that is a Unix socket with an abstract name: it has the scope that
    ports have, and is gone with its process however that ends.
    """

    def __init__(self, blocks: int) -> None:
        self._blocks = random.sample(range(blocks), blocks)
        self._taken: list[socket.socket] = []
        self._left: list[int] = []
        self._lock = threading.Lock()

    def take(self, count: int) -> list[int]:
        """Raises PortsExhaustedError."""
        ports: list[int] = []
        with self._lock:
            while len(ports) < count:
                if not self._left:
                    self._take_block()
                if _is_free(port := self._left.pop()):
                    ports.append(port)
        return ports

    def close(self) -> None:
        """Leave the blocks to others."""
        for mark in self._taken:
            mark.close()

    def _take_block(self) -> None:
        while self._blocks:
            block = self._blocks.pop()
            mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                mark.bind(f"\0avalua-ports-{block}")
            except OSError:
                mark.close()
                continue
            self._taken.append(mark)
            first = FIRST + block * BLOCK
            self._left = list(range(first, first + BLOCK))
            return
        raise PortsExhaustedError(f"all ports from {FIRST} to {END - 1} are taken: end other test runs first")


def _blocks() -> int:
    """How many blocks there are below the ports of outgoing connections; all where those begin lower."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    end = low if low >= FIRST + BLOCK else END
    return (min(end, END) - FIRST) // BLOCK


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_pool = PortPool(_blocks())


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses, and nobody else is given while this process lives."""
    return _pool.take(count)
