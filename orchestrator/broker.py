"""What subscribers read: a cursor into a job's committed events, with the newest ones kept ready to send."""

import asyncio
from array import array
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.jobs import Job
from orchestrator.jobs.events import frame
from orchestrator.store import Store

KEPT_FRAMES = 32  # newest events a job keeps in memory, shared by all of its subscribers
PAGE_FRAMES = 16  # events that a late subscriber reads from the store at a time


class Topic:
    """One job's newest committed events, and a way to wait for more."""

    def __init__(self, job: Job) -> None:
        self.last = job.last_event
        self.terminal = job.terminal
        self.users = 0
        self._frames: deque[tuple[int, bytes]] = deque(maxlen=KEPT_FRAMES)
        self._before = job.last_event  # events of the time before this topic
        self._committed_at = array("d")  # of each one since then
        self._changed = asyncio.Event()

    def publish(self, job: Job, events: tuple[tuple[int, bytes], ...], committed_at: float) -> None:
        for number, payload in events:
            if number > self.last:
                self._frames.append((number, frame(number, payload)))
                self._committed_at.append(committed_at)
                self.last = number
        self.terminal = job.terminal
        self.wake()

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        await self._changed.wait()

    def committed_at(self, after: int, until: int) -> "array[float]":
        """When the events behind `after`, up to `until`, were committed."""
        return self._committed_at[max(0, after - self._before) : max(0, until - self._before)]

    def kept(self, after: int) -> list[tuple[int, bytes]] | None:
        """The events behind `after`, or None if they begin before what is kept."""
        if after >= self.last:
            return []
        if not self._frames or self._frames[0][0] > after + 1:
            return None
        return [entry for entry in self._frames if entry[0] > after]


class Feed:
    """The topics of jobs that run or are listened to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._topics: dict[str, Topic] = {}
        self.closing = False
        self.subscribers = 0

    def publish(self, job: Job, events: tuple[tuple[int, bytes], ...], committed_at: float) -> None:
        """Shows committed events to the job's subscribers. Called after the commit, never before."""
        topic = self._topics.get(job.id)
        if topic is not None:
            topic.publish(job, events, committed_at)

    def hold(self, job: Job) -> None:
        """Keeps a running job's newest events at hand, also while nobody listens."""
        self._topics.setdefault(job.id, Topic(job)).users += 1

    def release(self, job_id: str) -> None:
        topic = self._topics[job_id]
        topic.users -= 1
        if topic.users == 0:
            del self._topics[job_id]

    def close(self) -> None:
        """Tells every subscriber to leave; they come back to the next start with their Last-Event-ID."""
        self.closing = True
        for topic in self._topics.values():
            topic.wake()

    @asynccontextmanager
    async def subscribe(self, job: Job, after: int) -> AsyncIterator["Cursor"]:
        if job.id not in self._topics and not job.terminal:
            # It has ended since it was read: a job that goes on has a topic.
            job = await self._store.job(job.id) or job
        self.hold(job)
        self.subscribers += 1
        try:
            yield Cursor(self, self._store, self._topics[job.id], job.id, after)
        finally:
            self.subscribers -= 1
            self.release(job.id)


class Cursor:
    """One subscriber's place in a job's events."""

    def __init__(self, feed: Feed, store: Store, topic: Topic, job_id: str, after: int) -> None:
        self._feed = feed
        self._store = store
        self._topic = topic
        self._job_id = job_id
        self.after = after
        self._timed = max(after, topic.last)  # what was committed before it came is no matter of delivery

    @property
    def ended(self) -> bool:
        """Nothing more will come: the final event was read, or the service is closing."""
        return self._feed.closing or (self._topic.terminal and self.after >= self._topic.last)

    async def read(self) -> list[bytes]:
        """The next events, ready to send; empty when there are none yet."""
        entries = self._topic.kept(self.after)
        if entries is None:
            stored = await self._store.events(self._job_id, self.after, PAGE_FRAMES)
            entries = [(number, frame(number, payload)) for number, payload in stored]
            if not entries:  # purged while we were reading
                self.after = self._topic.last
        if entries:
            self.after = entries[-1][0]
        return [data for _, data in entries]

    def written(self, now: float) -> list[float]:
        """For each event that came while it listened and was read since the last call, its age in seconds."""
        ages = [now - committed_at for committed_at in self._topic.committed_at(self._timed, self.after)]
        self._timed = max(self._timed, self.after)
        return ages

    async def wait(self, timeout_s: float) -> bool:
        """Waits until there may be something to read; false when the time passed without."""
        if self.ended or self.after < self._topic.last:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._topic.changed()
        except TimeoutError:
            return False
        return True
