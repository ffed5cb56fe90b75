"""Forgetting, in small steps: texts and events of expired jobs, and at last their traces.

SQLite overwrites what is deleted (`secure_delete`), in the write-ahead log first: only once that was emptied
into the database is a text gone from both.
"""

from sqlalchemy import delete, select, update

from orchestrator.store.database import Database
from orchestrator.store.tables import TERMINAL_WORDS, events, items, jobs, provenances

TOMBSTONES_A_STEP = 100
CHUNKS_A_STEP = 5
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
        if await self._expired_job(now) or await self._tombstones(now - tombstone_ttl_s):
            self._traces = True
            return True
        if self._traces and not await self._database.vacuum():
            self.blocked = not await self._database.checkpoint()
            self._traces = self.blocked
        return self._traces

    async def _expired_job(self, now: float) -> bool:
        due = (
            select(jobs.c.id)
            .where(jobs.c.expires_at <= now, jobs.c.purged_at.is_(None), jobs.c.status.in_(TERMINAL_WORDS))
            .limit(1)
            .with_for_update(skip_locked=True)  # another process may be at it
        )
        async with self._database.write() as connection:
            job_id = await connection.scalar(due)
            if job_id is None:
                return False
            some_texts = select(items.c.chunk).where(items.c.job_id == job_id).limit(CHUNKS_A_STEP)
            some_events = select(events.c.number).where(events.c.job_id == job_id).limit(EVENTS_A_STEP)
            if chunks := list(await connection.scalars(some_texts)):
                gone_texts = delete(items).where(items.c.job_id == job_id, items.c.chunk.in_(chunks))
                await connection.execute(gone_texts)
            elif numbers := list(await connection.scalars(some_events)):
                gone_events = delete(events).where(events.c.job_id == job_id, events.c.number.in_(numbers))
                await connection.execute(gone_events)
            else:
                await connection.execute(delete(provenances).where(provenances.c.job_id == job_id))
                gone = update(jobs).where(jobs.c.id == job_id)
                await connection.execute(
                    gone.values(purged_at=now, idempotency_key=None, body_digest="", partial=None)
                )
        return True

    async def _tombstones(self, before: float) -> bool:
        old = (
            select(jobs.c.id)
            .where(jobs.c.purged_at <= before)
            .limit(TOMBSTONES_A_STEP)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            found = list(await connection.scalars(old))
            if found:
                await connection.execute(delete(jobs).where(jobs.c.id.in_(found)))
        return bool(found)
