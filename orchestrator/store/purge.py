"""Forgetting, in small steps: texts of ended jobs, events of expired ones, and at last their traces.

SQLite overwrites what is deleted (`secure_delete`), in the write-ahead log first: only once that was emptied
into the database is a text gone from both.
"""

from sqlalchemy import delete, exists, select, update

from orchestrator.jobs import TERMINAL
from orchestrator.store.database import Database
from orchestrator.store.tables import events, items, jobs, provenances

TERMINAL_WORDS = tuple(status.value for status in TERMINAL)
TOMBSTONES_A_STEP = 100
EVENTS_A_STEP = 200


class Purge:
    """Each call is one short transaction and says whether there is more to do."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._traces = True  # deleted rows may stand in free pages and in the log; from an earlier run, too
        self.blocked = False  # somebody reads the write-ahead log, which can't be emptied now

    async def step(self, now: float, tombstone_ttl_s: float) -> bool:
        """Does one step of the most urgent kind; false when nothing is left to do."""
        self.blocked = False
        if (
            await self._ended_items()
            or await self._expired_job(now)
            or await self._tombstones(now - tombstone_ttl_s)
        ):
            self._traces = True
            return True
        if self._traces and not await self._database.vacuum():
            self.blocked = not await self._database.checkpoint()
            self._traces = self.blocked
        return self._traces

    async def _ended_items(self) -> bool:
        """A student's text is kept only until it is marked."""
        ended = (
            select(jobs.c.id)
            .where(jobs.c.status.in_(TERMINAL_WORDS), jobs.c.purged_at.is_(None))
            .where(exists().where(items.c.job_id == jobs.c.id))
            .limit(1)
        )
        async with self._database.write() as connection:
            found = list(await connection.scalars(ended))
            if found:
                await connection.execute(delete(items).where(items.c.job_id.in_(found)))
        return bool(found)

    async def _expired_job(self, now: float) -> bool:
        due = select(jobs.c.id).where(jobs.c.expires_at <= now, jobs.c.purged_at.is_(None)).limit(1)
        async with self._database.write() as connection:
            job_id = await connection.scalar(due)
            if job_id is None:
                return False
            some = select(events.c.number).where(events.c.job_id == job_id).limit(EVENTS_A_STEP)
            numbers = list(await connection.scalars(some))
            if numbers:
                await connection.execute(
                    delete(events).where(events.c.job_id == job_id, events.c.number.in_(numbers))
                )
            else:
                await connection.execute(delete(provenances).where(provenances.c.job_id == job_id))
                gone = update(jobs).where(jobs.c.id == job_id)
                await connection.execute(
                    gone.values(purged_at=now, idempotency_key=None, body_digest="", loose=None)
                )
        return True

    async def _tombstones(self, before: float) -> bool:
        old = select(jobs.c.id).where(jobs.c.purged_at <= before).limit(TOMBSTONES_A_STEP)
        async with self._database.write() as connection:
            found = list(await connection.scalars(old))
            if found:
                await connection.execute(delete(jobs).where(jobs.c.id.in_(found)))
        return bool(found)
