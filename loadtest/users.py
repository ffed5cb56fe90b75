"""Locust's users, one kind for each interface, and the shape that starts and ends them."""

from __future__ import annotations

from locust import User
from locust.exception import StopUser

from loadtest.run import Run
from loadtest.scenarios import Interface


def work(user: GradingUser) -> None:
    """A user's only task, done once."""
    user.current.work()
    raise StopUser


class GradingUser(User):  # type: ignore[misc]
    """Has a part in the run."""

    abstract = True
    tasks = (work,)
    current: Run


class SseUser(GradingUser):
    """Submits to the orchestrator and follows the events to the last."""


class GrpcUser(GradingUser):
    """Streams to Triton's ensemble over gRPC."""


class GenerateUser(GradingUser):
    """Calls generate on Triton's ensemble over HTTP."""


BY_INTERFACE: dict[Interface, type[GradingUser]] = {
    Interface.SSE: SseUser,
    Interface.GRPC: GrpcUser,
    Interface.GENERATE: GenerateUser,
}
