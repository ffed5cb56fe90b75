"""What subscribers read: a cursor into a job's committed events, with the newest ones kept ready to send.

Events of this process's worker arrive as they are committed; those of other processes are read when a hint
of them comes, and looked for now and then, since a hint may be lost.
"""

import asyncio
import time
from array import array
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

import structlog

from orchestrator.errors import JobExpiredError, StoreUnavailableError, UnreadableJobError
from orchestrator.frames import frame
from orchestrator.jobs import Job
from orchestrator.store import Store
from orchestrator.store.committing import Committed
from orchestrator.store.notify import JobHint

KEPT_FRAMES = 32  # newest events a job keeps in memory, shared by all of its subscribers
PAGE_FRAMES = 16  # events that are read from the store at a time

log = structlog.get_logger()


class Topic:
    """One job's newest committed events, and a way to wait for more."""

    def __init__(self, last: int, terminal: bool) -> None:
        self.last = last
        self.terminal = terminal
        self.subscribers = 0
        self._frames: deque[tuple[int, bytes]] = deque(maxlen=KEPT_FRAMES)
        self._before = last  # events of the time before this topic
        self._committed_at = array("d")  # of each one since then
        self._changed = asyncio.Event()

    def publish(self, events: Iterable[tuple[int, bytes]], hint: JobHint, committed_at: float) -> None:
        """Shows committed events, in order. What was shown before, or comes behind a hole, is passed over."""
        before = self.last, self.terminal
        for number, payload in events:
            if number == self.last + 1:
                self._frames.append((number, frame(number, payload)))
                self._committed_at.append(committed_at)
                self.last = number
        if self.last >= hint.last_event:
            self.terminal = self.terminal or hint.terminal
        if (self.last, self.terminal) != before:
            self.wake()

    def skip_to(self, number: int) -> None:
        """Events up to this one are not shown: who wants them reads the store, and finds out what is gone."""
        if number > self.last:
            self._frames.clear()
            self._committed_at = array("d")
            self.last = self._before = number
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
        entries = [entry for entry in self._frames if entry[0] > after]
        return entries if entries and entries[0][0] == after + 1 else None


class Broker:
    """The topics of jobs that run here or are listened to. A sink of committed changes."""

    def __init__(self, store: Store, poll_s: float) -> None:
        self._store = store
        self._poll_s = poll_s
        self._topics: dict[str, Topic] = {}
        self.closing = False
        self.subscribers = 0

    def committed(self, committed: Committed) -> None:
        """Shows what was committed to subscribers: after the commit, never before."""
        for change in committed.changes:
            topic = self._topics.get(change.job.id)
            if topic is None and not change.job.terminal:
                # Kept at hand also while nobody listens: somebody will.
                before = change.events[0][0] - 1 if change.events else change.job.last_event
                topic = self._topics[change.job.id] = Topic(before, terminal=False)
            if topic is not None:
                hint = JobHint(change.job.id, change.job.last_event, change.job.terminal)
                topic.publish(change.events, hint, committed.at)
                self._release(change.job.id)

    async def run(self) -> None:
        """Follows what other processes, or calls of ours that bypass the worker, commit."""
        look_at = float("-inf")
        while True:
            hints = await self._store.hints.jobs(self._poll_s)
            try:
                if time.monotonic() >= look_at:  # also where others' hints never cease: one may be lost
                    hints = [*hints, *await self._look()]
                    look_at = time.monotonic() + self._poll_s
                for hint in hints:
                    await self._follow(hint)
            except StoreUnavailableError as error:
                log.warning("following_failed", reason=str(error))
                look_at = float("-inf")  # what these hints told is found by looking
                await asyncio.sleep(self._poll_s)

    async def _look(self) -> list[JobHint]:
        """How far the jobs are that somebody listens to, or that we keep at hand."""
        unfinished = [job_id for job_id, topic in self._topics.items() if not topic.terminal]
        if not unfinished:
            return []
        found = await self._store.reading.heads(unfinished)
        # A job that is no longer there was purged: it has ended, and more than was shown is gone.
        gone = set(unfinished) - {hint.id for hint in found}
        last = {job_id: self._topics[job_id].last for job_id in gone if job_id in self._topics}
        return [*found, *(JobHint(job_id, number + 1, terminal=True) for job_id, number in last.items())]

    async def _follow(self, hint: JobHint) -> None:
        """Reads what was committed elsewhere, once for all who listen to that job."""
        topic = self._topics.get(hint.id)
        if topic is None:
            return
        while topic.last < hint.last_event and topic.subscribers:
            page: list[tuple[int, bytes]] = []
            with suppress(UnreadableJobError):  # who reads it meets that, and the other jobs go on
                page = await self._store.reading.events(hint.id, topic.last, PAGE_FRAMES)
            if not page or page[0][0] > topic.last + 1:
                topic.skip_to(hint.last_event)
            topic.publish(page, hint, time.monotonic())
        topic.skip_to(hint.last_event)  # where nobody listens
        topic.publish((), hint, time.monotonic())
        self._release(hint.id)

    def _release(self, job_id: str) -> None:
        """Forgets a topic that has ended, and to which nobody listens."""
        topic = self._topics.get(job_id)
        if topic is not None and topic.terminal and not topic.subscribers:
            del self._topics[job_id]

    def close(self) -> None:
        """Tells every subscriber to leave; they come back to the next start with their Last-Event-ID."""
        self.closing = True
        for topic in self._topics.values():
            topic.wake()

    @asynccontextmanager
    async def subscribe(self, job: Job, after: int) -> AsyncIterator["Cursor"]:
        """A cursor behind event number `after`. Raises StoreUnavailableError."""
        topic = self._topics.setdefault(job.id, Topic(job.last_event, job.terminal))
        followed = topic.subscribers > 0
        if not followed:
            topic.skip_to(job.last_event)
            topic.publish((), JobHint(job.id, job.last_event, job.terminal), time.monotonic())
        topic.subscribers += 1
        self.subscribers += 1
        try:
            if not (followed or topic.terminal):  # it may have gone on since it was read
                for head in await self._store.reading.heads([job.id]):
                    await self._follow(head)
            yield Cursor(self, self._store, topic, job.id, after)
        finally:
            self.subscribers -= 1
            topic.subscribers -= 1
            self._release(job.id)

    async def ended(self, job: Job, timeout_s: float) -> None:
        """Returns when the job has ended, or after that time."""
        async with self.subscribe(job, job.last_event) as cursor:
            deadline = time.monotonic() + timeout_s
            while not cursor.terminal and (left_s := deadline - time.monotonic()) > 0:
                await cursor.wait_for_end(left_s)


class Cursor:
    """One subscriber's place in a job's events."""

    def __init__(self, broker: Broker, store: Store, topic: Topic, job_id: str, after: int) -> None:
        self._broker = broker
        self._store = store
        self._topic = topic
        self._job_id = job_id
        self.after = after
        self._timed = max(after, topic.last)  # what was committed before it came is no matter of delivery

    @property
    def terminal(self) -> bool:
        """The job has ended."""
        return self._topic.terminal or self._broker.closing

    @property
    def ended(self) -> bool:
        """Nothing more will come: the final event was read, or the service is closing."""
        return self._broker.closing or (self._topic.terminal and self.after >= self._topic.last)

    async def read(self) -> list[bytes]:
        """The next events, ready to send; empty when there are none yet.

        Raises JobExpiredError where some are gone: what follows a hole must not look whole.
        """
        entries = self._topic.kept(self.after)
        if entries is None:
            stored = await self._store.reading.events(self._job_id, self.after, PAGE_FRAMES)
            entries = [(number, frame(number, payload)) for number, payload in stored]
            if not entries:
                raise JobExpiredError
        for number, _ in entries:
            if number != self.after + 1:
                raise JobExpiredError
            self.after = number
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
        return await self.wait_for_end(timeout_s)

    async def wait_for_end(self, timeout_s: float) -> bool:
        """Waits until something changes; false when the time passed without."""
        if self.terminal:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._topic.changed()
        except TimeoutError:
            return False
        return True
