"""The workers on a database that several processes share, by their heartbeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from orchestrator.store.tables import workers

FORGET_LEASES = 20
"""After so many leases without a heartbeat a worker's row goes."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker tells with each heartbeat."""

    places: int  # for items in flight, those in use included
    in_flight: int
    weight: int
    wanted: int
    triton_up: bool
    triton_loaded: bool
    wants_isolation: bool


@dataclass(frozen=True, slots=True)
class Fleet:
    """All workers that have been heard of lately."""

    workers: int = 0
    triton_up: bool = False
    triton_loaded: bool = False
    in_flight: int = 0


async def live_workers(connection: AsyncConnection, now: float, lease_s: float) -> Sequence[Row[Any]]:
    """Those that were heard of within a lease; `now` is by the database's clock."""
    return (await connection.execute(select(workers).where(workers.c.beat_at > now - lease_s))).all()


def fleet_of(found: Sequence[Row[Any]]) -> Fleet:
    return Fleet(
        workers=len(found),
        triton_up=any(row.triton_up for row in found),
        triton_loaded=any(row.triton_loaded for row in found),
        in_flight=sum(row.in_flight for row in found),
    )


async def write_worker(
    connection: AsyncConnection, worker_id: str, load: Load, *, places: int, isolating: bool, now: float
) -> None:
    """A worker as it stands from now on; `places` are those that it has."""
    row = {
        "id": worker_id,
        "beat_at": now,
        "places": places,
        "in_flight": load.in_flight,
        "weight": load.weight,
        "wanted": load.wanted,
        "triton_up": load.triton_up,
        "triton_loaded": load.triton_loaded,
        "isolating": isolating,
    }
    await connection.execute(insert(workers), row)


async def forget_worker(connection: AsyncConnection, worker_id: str, before: float | None = None) -> None:
    """Deletes one, and all that were last heard of before that moment."""
    gone = workers.c.id == worker_id
    if before is not None:
        gone = or_(gone, workers.c.beat_at < before)
    await connection.execute(delete(workers).where(gone))
