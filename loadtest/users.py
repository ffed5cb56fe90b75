"""Locust's users, one kind for each way, and the shape that starts and ends them."""

from __future__ import annotations

from locust import User
from locust.exception import StopUser

from loadtest.play import Play
from loadtest.scenarios import Way


def work(user: GradingUser) -> None:
    """A user's only task, done once."""
    user.play.work()
    raise StopUser


class GradingUser(User):  # type: ignore[misc]
    """Has a part in the play."""

    abstract = True
    tasks = (work,)
    play: Play


class SseUser(GradingUser):
    """Submits to the orchestrator and follows the events to the last."""


class GrpcUser(GradingUser):
    """Streams to Triton's ensemble over gRPC."""


class GenerateUser(GradingUser):
    """Calls generate on Triton's ensemble over HTTP."""


BY_WAY: dict[Way, type[GradingUser]] = {
    Way.SSE: SseUser,
    Way.GRPC: GrpcUser,
    Way.GENERATE: GenerateUser,
}
