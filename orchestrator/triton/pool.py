"""Several Tritons as one: which of them gets an item, and what they tell, in one inbox."""

import asyncio
import time
from collections import OrderedDict
from typing import Any

from orchestrator.config import Settings
from orchestrator.inbox import Inbox
from orchestrator.jobs import Item
from orchestrator.jobs.provenance import Provenance
from orchestrator.observability.metrics import Metrics
from orchestrator.triton.reconnecting import ReconnectingConnection
from orchestrator.triton.server import Server

MAX_GROUPS = 4096
"""Prompts of which we remember where they went last."""
MIN_SLACK = 8
SLACK_SHARE = 4
"""A group moves on when its server has a quarter of its capacity more in flight than the least."""


class Pool:
    """All servers. `inbox` gets the events of orchestrator.triton.events."""

    def __init__(self, settings: Settings, metrics: Metrics, inbox: Inbox[Any]) -> None:
        urls = settings.triton_grpc_urls
        most = -(-settings.max_in_flight // len(urls))
        self._settings = settings
        self.servers = tuple(Server(url, most) for url in urls)
        self.provenances: dict[str, Provenance] = {}  # of every connection so far: as many as models
        self.loaded = asyncio.Event()  # set for good once some model has answered
        self._connections = {
            server: ReconnectingConnection(
                server,
                settings=settings,
                metrics=metrics,
                inbox=inbox,
                provenances=self.provenances,
                loaded=self.loaded,
            )
            for server in self.servers
        }
        self._groups: OrderedDict[tuple[str, str], Server] = OrderedDict()
        self._slowed_at: dict[Server, float] = {}

    @property
    def up(self) -> bool:
        """Whether any model answers."""
        return any(server.up for server in self.servers)

    async def run(self) -> None:
        """Keeps all connections for as long as the service runs."""
        async with asyncio.TaskGroup() as group:
            for server, connection in self._connections.items():
                group.create_task(connection.run(), name=f"triton-{server.name}")

    def pick(self, item: Item, *, exclude: Server | None = None) -> Server | None:
        """The server for an item: the one with the least in flight, or none while all are full.

        vLLM caches the beginnings of prompts, so items with the same one stay together while that costs
        nobody a wait.
        """
        able = [server for server in self.servers if server.up and server.free > 0 and server is not exclude]
        if not able:
            return None
        if len(self.servers) == 1:
            return able[0]
        least = min(able, key=lambda server: server.in_flight)
        group = (item.curso, item.consigna)
        last = self._groups.get(group)
        chosen = least
        if last is not None and last in able:
            slack = max(MIN_SLACK, last.capacity // SLACK_SHARE)
            chosen = last if last.in_flight - least.in_flight < slack else least
        self._groups[group] = chosen
        self._groups.move_to_end(group)
        if len(self._groups) > MAX_GROUPS:
            self._groups.popitem(last=False)
        return chosen

    def send(self, server: Server, request_id: str, item: Item, attempt: int) -> None:
        """Sends an item, without waiting. Its answer, or that there will be none, is told."""
        self._connections[server].send(request_id, item, attempt)

    def doubt(self, server: Server) -> None:
        """Asks for a probe now: something failed in a way that a dead model would explain."""
        self._connections[server].doubt()

    def slow(self, server: Server) -> None:
        """An item's time was up there. What was sent together may be late together: that counts once."""
        now = time.monotonic()
        slowed_at = self._slowed_at.get(server)
        if slowed_at is None or now - slowed_at >= self._settings.item_timeout_s / 2:
            self._slowed_at[server] = now
            server.slow()
