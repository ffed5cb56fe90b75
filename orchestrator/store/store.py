"""The parts of the store, open together."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestrator.config import Settings
from orchestrator.jobs import Job
from orchestrator.store.claims import Claims
from orchestrator.store.clock import Clock
from orchestrator.store.committing import Committing
from orchestrator.store.creation import Creation
from orchestrator.store.database import Database
from orchestrator.store.notify import Hints
from orchestrator.store.purge import Purge
from orchestrator.store.reading import Reading


@dataclass(frozen=True, slots=True)
class Store:
    """Durable jobs. All of it raises StoreUnavailableError when the database can't be used."""

    database: Database
    clock: Clock
    hints: Hints
    creation: Creation
    reading: Reading
    claims: Claims
    committing: Committing
    purge: Purge

    @property
    def shared(self) -> bool:
        """Whether other processes may work on it, too."""
        return not self.database.sqlite

    @property
    def lost(self) -> bool:
        """Whether the database's files were deleted or replaced: nothing written now would be found again."""
        return self.database.lost() is not None

    async def try_write(self) -> None:
        """Returns if the database can be written."""
        await self.database.try_write()


@asynccontextmanager
async def open_store(
    settings: Settings, ended: Callable[[Job], None] = lambda _: None
) -> AsyncIterator[Store]:
    """A store that is open while the block runs. Raises StartError.

    `ended` hears of each job that ends in the store: one that nobody works on is cancelled, or can't go on.
    """
    database = Database(settings.database_url, settings.database_timeout_s, settings.lease_s)
    await database.open()
    try:
        clock = Clock(await database.now())
        hints = Hints(database)
        claims = Claims(
            database,
            clock,
            hints,
            lease_s=settings.lease_s,
            max_in_flight=settings.max_in_flight,
            job_ttl_s=settings.job_ttl_seconds,
            ended=ended,
        )
        if database.sqlite:
            await claims.forget_all()
        yield Store(
            database=database,
            clock=clock,
            hints=hints,
            creation=Creation(database, clock, hints),
            reading=Reading(database),
            claims=claims,
            committing=Committing(database, hints),
            purge=Purge(database),
        )
    finally:
        await database.close()
