"""Finding the item that kills the model: items that were in flight when it died are tried apart from others.

First some together; those of a group under which it died again one by one. Only a death that an item met
alone says anything about it. Everything else goes on: on other servers, or, where there is only one, in turn.
Pure: moments are passed in.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

MIN_CALM_S, MAX_CALM_S = 1.0, 30.0


class Server(Protocol):
    """Where items are sent."""

    @property
    def up(self) -> bool: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def heard_at(self) -> float:
        """When it last gave a good answer, to a probe too."""


S = TypeVar("S", bound=Server)


@dataclass(slots=True, eq=False)
class Suspicion(Generic[S]):
    """What is known of one item that was in flight when a model died."""

    home: S | None = None  # where it was; None: any server will do
    single: bool = False  # a group that it was in met a death, too
    alone: bool = False  # it is being tried, and nothing else is in flight there
    lone_deaths: int = 0  # deaths that it met alone, none of which came without it since
    calm_s: float = 0.0  # how long the server has to live without it before it is tried again


class Suspect(Protocol[S]):
    """An item, as far as isolation looks at it."""

    suspicion: Suspicion[S]

    @property
    def closed(self) -> bool:
        """It has a result, or its job has ended."""


T = TypeVar("T", bound=Suspect)  # type: ignore[type-arg]


class Phase(Enum):
    IDLE = "idle"
    CLEARING = "clearing"  # others are no longer sent to the server
    TRYING = "trying"  # suspects are in flight there, and nothing else
    RESTING = "resting"  # it is the others' turn


@dataclass(slots=True)
class _State(Generic[S, T]):
    phase: Phase = Phase.IDLE
    server: S | None = None
    since: float = 0.0
    until: float = 0.0
    sent_at: float = 0.0
    to_send: deque[T] = field(default_factory=deque)
    out: set[T] = field(default_factory=set)


class Isolation(Generic[S, T]):
    """The suspects, and which server they have for themselves just now."""

    def __init__(self, group: int, slot_s: float) -> None:
        self._group = max(1, group)
        self._slot_s = slot_s
        self._groups: deque[T] = deque()
        self._singles: deque[T] = deque()
        self._state: _State[S, T] = _State()
        self._up_at: dict[S, float] = {}

    def __len__(self) -> int:
        return len(self._groups) + len(self._singles) + len(self._state.to_send)

    @property
    def waiting(self) -> bool:
        """There are suspects to be tried, or a server is still kept for those that were."""
        return bool(len(self) or self._state.out) or self.reserved is not None

    def advance(self, now: float, servers: Sequence[S], allowed: bool) -> None:
        """Looks at what became of the suspects, also where none can be sent just now.

        Those whose job has ended, or is another worker's, are forgotten: nobody must wait for them.
        `allowed`: no other worker tries suspects now.
        """
        for queue in (self._groups, self._singles, self._state.to_send):
            if any(suspect.closed for suspect in queue):
                still = [suspect for suspect in queue if not suspect.closed]
                queue.clear()
                queue.extend(still)
        self._advance(now, servers, allowed)

    @property
    def reserved(self) -> S | None:
        """The server to which nothing else may be sent just now."""
        return self._state.server if self._state.phase in (Phase.CLEARING, Phase.TRYING) else None

    def add(self, suspect: T, home: S | None) -> None:
        """An item was in flight when a server died, or went away for long (`home` is None then)."""
        self.left(suspect)
        suspicion = suspect.suspicion
        suspicion.home = home
        (self._singles if suspicion.single else self._groups).append(suspect)

    def met_death_alone(self, suspect: T, home: S, now: float) -> None:
        """It goes again before all others, so that nothing else can be to blame."""
        self.left(suspect)
        suspicion = suspect.suspicion
        survived_s = now - self._up_at.get(home, now)
        suspicion.lone_deaths += 1
        suspicion.calm_s = min(MAX_CALM_S, max(MIN_CALM_S, survived_s))
        suspicion.home, suspicion.single = home, True
        self._singles.appendleft(suspect)

    def died_without(self, met: Sequence[T], server: S) -> None:
        """That server died: of its suspects that were not in flight then, deaths no longer tell anything."""
        met_it = set(met)
        for suspect in (*self._singles, *self._groups):
            if suspect not in met_it and suspect.suspicion.home in (None, server):
                suspect.suspicion.lone_deaths = 0

    def came_up(self, server: S, now: float) -> None:
        self._up_at[server] = now

    def left(self, suspect: T) -> None:
        """It is known what became of it, this time."""
        suspect.suspicion.alone = False
        self._state.out.discard(suspect)

    def release_from(self, home: S) -> None:
        """That server has been away for long: others may try its suspects."""
        for suspect in (*self._singles, *self._groups):
            if suspect.suspicion.home is home:
                suspect.suspicion.home = None

    def next(self, now: float, servers: Sequence[S], allowed: bool) -> tuple[T, S] | None:
        """The next suspect to send, and where."""
        self._advance(now, servers, allowed)
        state = self._state
        if state.phase is Phase.CLEARING and state.server is not None and state.server.in_flight == 0:
            self._begin(now)
        while state.phase is Phase.TRYING and state.to_send:
            suspect = state.to_send.popleft()
            if not suspect.closed and state.server is not None:
                state.out.add(suspect)
                return suspect, state.server
        return None

    def _advance(self, now: float, servers: Sequence[S], allowed: bool) -> None:
        state = self._state
        state.out = {suspect for suspect in state.out if not suspect.closed}
        if state.server is not None and not state.server.up:
            self._put_back()
            self._state = state = _State()
        match state.phase:
            case Phase.TRYING if not state.to_send and not state.out:
                self._rest(now, servers)
            case Phase.TRYING | Phase.CLEARING if now - state.since >= self._slot_s and (
                state.phase is Phase.CLEARING or self._lives(state)
            ):
                # Something hangs there: others need not wait for it. A death now would tell nothing.
                self._put_back()
                for suspect in state.out:
                    suspect.suspicion.alone = False
                self._rest(now, servers)
            case Phase.RESTING if now >= state.until:
                self._state = _State()
        if self._state.phase is Phase.IDLE and allowed:
            self._choose(now, servers)

    @staticmethod
    def _lives(state: "_State[S, T]") -> bool:
        """Whether the server has answered anything since the suspects were sent: else it may have died."""
        return state.server is not None and state.server.heard_at > state.sent_at

    def _choose(self, now: float, servers: Sequence[S]) -> None:
        """Begins to clear a server for the first suspect that can be tried."""
        for queue in (self._singles, self._groups):
            while queue and queue[0].closed:
                queue.popleft()
            if not queue:
                continue
            suspicion = queue[0].suspicion
            wanted = [server for server in servers if suspicion.home in (None, server)]
            calm = [
                server
                for server in wanted
                if now - self._up_at.get(server, now) >= suspicion.calm_s or not suspicion.lone_deaths
            ]
            if calm:
                server = min(calm, key=lambda server: server.in_flight)
                self._state = _State(Phase.CLEARING, server, since=now)
                return
            if suspicion.lone_deaths:
                return  # it has to be tried again before any other

    def _begin(self, now: float) -> None:
        """Takes those to be tried together: one, or as many of the first round as make a group."""
        state = self._state
        state.phase, state.sent_at = Phase.TRYING, now
        if self._singles:
            self._take(self._singles, 1)
        if not state.to_send:
            self._take(self._groups, self._group)
        alone = len(state.to_send) == 1
        for suspect in state.to_send:
            suspect.suspicion.single, suspect.suspicion.alone = True, alone

    def _take(self, queue: deque[T], most: int) -> None:
        state = self._state
        while queue and len(state.to_send) < most and queue[0].suspicion.home in (None, state.server):
            suspect = queue.popleft()
            if not suspect.closed:
                state.to_send.append(suspect)

    def _put_back(self) -> None:
        """What was not sent yet goes back to where it was."""
        together = len(self._state.to_send) + len(self._state.out) > 1
        for suspect in reversed(self._state.to_send):
            suspect.suspicion.alone = False
            suspect.suspicion.single = not together
            (self._groups if together else self._singles).appendleft(suspect)
        self._state.to_send.clear()

    def _rest(self, now: float, servers: Sequence[S]) -> None:
        """Where there is no other server, everything else has as long a turn as this took."""
        state = self._state
        only = not any(server is not state.server for server in servers)
        spent_s = now - state.since
        self._state = _State(Phase.RESTING, until=now + (spent_s if only else 0.0))
