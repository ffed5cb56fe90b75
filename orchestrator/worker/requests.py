"""Requests at Triton, by server, and since when each can have been worked on.

Triton begins with requests in the order in which they were sent. So one has begun, at the latest, when one
that was sent after it is answered, or when all that were sent before it are. Its time counts from then: a
slow server with a long queue is not to be mistaken for one that hangs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.triton.server import Server
from orchestrator.worker.active import Delivery


@dataclass(slots=True, eq=False)
class Request:
    """One item, sent once."""

    id: str
    delivery: Delivery
    server: Server
    sent_at: float
    order: int
    begun_at: float | None = None
    overdue: bool = False  # its time was up: a good answer is taken all the same
    left: bool = False  # it holds no place any more


class _Queue:
    """What one server has not answered."""

    def __init__(self) -> None:
        self.not_begun: dict[str, Request] = {}  # in the order of sending
        self.begun: dict[str, Request] = {}  # in the order of beginning
        self.overdue: dict[str, Request] = {}  # no longer counted on

    def all(self) -> list[Request]:
        return [*self.overdue.values(), *self.begun.values(), *self.not_begun.values()]


class Requests:
    """All that may still be answered. Moments are passed in, by a monotonic clock."""

    def __init__(self) -> None:
        self._by_id: dict[str, Request] = {}
        self._queues: dict[Server, _Queue] = {}
        self._sent = 0

    def add(self, request_id: str, delivery: Delivery, server: Server, now: float) -> Request:
        self._sent += 1
        request = Request(request_id, delivery, server, now, self._sent)
        queue = self._queues.setdefault(server, _Queue())
        self._by_id[request_id] = request
        queue.not_begun[request_id] = request
        self._head_begins(queue, now)
        return request

    def answered(self, request_id: str, now: float) -> Request | None:
        """Takes it out; None if it was not known any more."""
        request = self._by_id.pop(request_id, None)
        if request is None:
            return None
        queue = self._queues[request.server]
        for part in (queue.begun, queue.not_begun, queue.overdue):
            part.pop(request_id, None)
        while queue.not_begun and (first := next(iter(queue.not_begun.values()))).order < request.order:
            self._begins(queue, first, now)
        self._head_begins(queue, now)
        return request

    def of(self, server: Server) -> list[Request]:
        queue = self._queues.get(server)
        return queue.all() if queue is not None else []

    def drop(self, server: Server) -> list[Request]:
        """Takes out all of a server: they will get no answer."""
        found = self.of(server)
        self._queues.pop(server, None)
        for request in found:
            del self._by_id[request.id]
        return found

    def overdue(self, now: float, timeout_s: float) -> Iterator[Request]:
        """Those that a server in order has not answered so long after it can have begun; each once."""
        for server, queue in self._queues.items():
            if not server.up:
                continue
            while queue.begun:
                request = next(iter(queue.begun.values()))
                if request.begun_at is None or now - request.begun_at < timeout_s:
                    break
                self.give_up(request, now)
                yield request

    def give_up(self, request: Request, now: float) -> None:
        """Its time is up: what was sent after it need not wait for it any more."""
        queue = self._queues[request.server]
        request.overdue = True
        for part in (queue.begun, queue.not_begun):
            part.pop(request.id, None)
        queue.overdue[request.id] = request
        self._head_begins(queue, now)

    def begin_again(self, server: Server, now: float) -> list[Request]:
        """The server was away: until now it can't have gone on. Gives all that it has not answered."""
        found = self.of(server)
        for request in found:
            if request.begun_at is not None:
                request.begun_at = now
        return found

    def _head_begins(self, queue: _Queue, now: float) -> None:
        if not queue.begun and queue.not_begun:
            self._begins(queue, next(iter(queue.not_begun.values())), now)

    @staticmethod
    def _begins(queue: _Queue, request: Request, now: float) -> None:
        del queue.not_begun[request.id]
        request.begun_at = now
        queue.begun[request.id] = request
