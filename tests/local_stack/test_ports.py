"""Ports for servers: nobody else takes them before the server does."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.ports import BLOCK, PortPool, PortsExhaustedError, free_ports
from testkit.triton import ROOT


def test_no_port_is_handed_out_twice() -> None:
    """Neither to this process nor to another one that lives, though none of them is listened on yet."""
    program = "from local_stack.ports import free_ports; print(free_ports(40), flush=True); input()"
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    handed_out = free_ports(BLOCK + 1)
    for other in others:
        assert other.stdout is not None
        handed_out += [int(port) for port in other.stdout.readline().strip("[]\n").split(",")]
    for other in others:
        other.communicate("\n", timeout=30)
    assert len(handed_out) == BLOCK + 81
    assert len(set(handed_out)) == len(handed_out)


def test_an_outgoing_connection_takes_none() -> None:
    """They lie below those that Linux gives to whoever does not ask for one."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    if low < 20_000 + BLOCK:
        pytest.skip("this machine gives nearly all of its ports to outgoing connections")
    assert max(free_ports(5)) < low


def test_a_port_that_is_listened_on_is_passed_over() -> None:
    """Whoever listens there, and whether or not it came from here."""
    pool = PortPool(1)
    try:
        (port,) = pool.take(1)
    except PortsExhaustedError:
        pytest.skip("another process has the first block")
    with socket.create_server(("127.0.0.1", port - 1)):
        assert pool.take(1) == [port - 2]
    pool.close()


def test_too_many_are_refused() -> None:
    """In one sentence, where all blocks are taken."""
    with pytest.raises(PortsExhaustedError, match="end other test runs first"):
        PortPool(0).take(1)
