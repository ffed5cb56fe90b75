"""Nothing of `make run` can be reached from another machine."""

from __future__ import annotations

import ipaddress

import psutil
import pytest

from tests.whole_stack.conftest import LocalStack

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("whole-stack")]


def is_loopback(address: str) -> bool:
    """Whether it is this machine's own, also where IPv6 wraps it."""
    parsed = ipaddress.ip_address(address)
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def test_every_socket_listens_on_loopback(stack: LocalStack) -> None:
    """The orchestrator, Triton and its model processes listen on loopback addresses only."""
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for pid in stack.processes()
        for connection in psutil.Process(pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {port for _, port in listening} >= {
        stack.port, stack.grpc_port, stack.metrics_port, stack.http_port
    }  # fmt: skip
    assert {address for address in listening if not is_loopback(address[0])} == set()
