"""Which item is tried apart from others, where and when."""

from dataclasses import dataclass, field

from orchestrator.jobs.isolation import Isolation, Suspicion


@dataclass(eq=False)
class Server:
    up: bool = True
    in_flight: int = 0
    heard_at: float = 0.0


@dataclass(eq=False)
class Item:
    name: str
    closed: bool = False
    suspicion: Suspicion[Server] = field(default_factory=Suspicion)


def make(count: int, group: int = 10) -> tuple[Isolation[Server, Item], Server, list[Item]]:
    isolation: Isolation[Server, Item] = Isolation(group, slot_s=10.0)
    server = Server()
    isolation.came_up(server, 0.0)
    items = [Item(f"i{number}") for number in range(count)]
    for item in items:
        isolation.add(item, home=server)
    return isolation, server, items


def send(
    isolation: Isolation[Server, Item], now: float, servers: list[Server], allowed: bool = True
) -> list[Item]:
    """All that is to be sent now."""
    sent = []
    while (found := isolation.next(now, servers, allowed)) is not None:
        item, server = found
        server.in_flight += 1
        sent.append(item)
    return sent


def answer(isolation: Isolation[Server, Item], items: list[Item], server: Server) -> None:
    for item in items:
        server.in_flight -= 1
        item.closed = True
        isolation.left(item)


def test_suspects_go_in_groups() -> None:
    """Ten, then the rest; nothing else may be sent to that server meanwhile."""
    isolation, server, items = make(15)
    other = Server()
    first = send(isolation, 0.0, [server, other])
    assert (first, isolation.reserved) == (items[:10], server)
    answer(isolation, first, server)
    send(isolation, 1.0, [server, other])  # that round is over
    second = send(isolation, 1.1, [server, other])
    assert second == items[10:]
    answer(isolation, second, server)
    send(isolation, 1.2, [server, other])
    assert isolation.reserved is None
    assert not isolation.waiting


def test_a_server_is_cleared_first() -> None:
    """What is in flight there finishes before the suspects go, and no longer than a slot is waited for."""
    isolation, server, items = make(3)
    server.in_flight = 4
    assert send(isolation, 0.0, [server]) == []
    assert isolation.reserved is server
    server.in_flight = 0
    assert send(isolation, 5.0, [server]) == items
    hung, server, _ = make(3)
    server.in_flight = 1
    send(hung, 0.0, [server])
    assert send(hung, 10.0, [server]) == []
    assert hung.reserved is None


def test_the_last_suspects_leave_no_server_reserved() -> None:
    """Whoever asks only while something waits gets the server back, also where it is the only one."""
    isolation, server, _ = make(3)
    answer(isolation, send(isolation, 0.0, [server]), server)
    assert send(isolation, 0.5, [server]) == []
    assert (isolation.waiting, isolation.reserved) == (False, None)


def reserved(isolation: Isolation[Server, Item], server: Server, now: float) -> bool:
    """Whether others have to keep off the server at that moment."""
    isolation.next(now, [server], True)
    return isolation.reserved is server


def test_a_hanging_suspect_stops_others_for_a_slot_only() -> None:
    """Then it is their turn for as long; a death after that tells nothing about it."""
    isolation, server, items = make(1)
    assert send(isolation, 0.0, [server]) == items
    assert items[0].suspicion.alone
    server.heard_at = 1.0
    assert [reserved(isolation, server, now) for now in (9.9, 10.0)] == [True, False]
    assert [item.suspicion.alone for item in items] == [False]
    isolation.add(Item("later"), home=server)
    assert not reserved(isolation, server, 19.9)
    server.in_flight = 0
    assert [item.name for item in send(isolation, 20.1, [server])] == ["later"]


def test_a_server_that_is_silent_since_it_got_a_suspect_is_left_alone_with_it() -> None:
    """It may have died of it: a probe tells, and until then nothing else is to be blamed."""
    isolation, server, items = make(1)
    assert send(isolation, 0.0, [server]) == items
    assert reserved(isolation, server, 15.0)
    server.heard_at = 16.0
    assert not reserved(isolation, server, 16.0)


def test_those_of_a_group_that_met_a_death_go_one_by_one() -> None:
    isolation, server, items = make(3)
    send(isolation, 0.0, [server])
    server.up, server.in_flight = False, 0
    isolation.next(1.0, [], True)
    server.up = True
    isolation.came_up(server, 20.0)
    for item in items:
        isolation.add(item, home=server)
    for place, item in enumerate(items):
        now = 21.0 + 10 * place
        assert send(isolation, now, [server]) == [item]
        assert item.suspicion.alone
        answer(isolation, [item], server)
        isolation.next(now + 0.1, [server], True)


def test_one_that_met_a_death_alone_goes_before_all_others_once_the_server_was_calm() -> None:
    """It has to live without it for as long as it lived with it: one that dies by itself would not."""
    isolation, server, items = make(1)
    send(isolation, 3.0, [server])
    server.up, server.in_flight = False, 0
    isolation.next(5.0, [], True)
    server.up = True
    isolation.met_death_alone(items[0], server, 5.0)
    isolation.came_up(server, 30.0)
    assert items[0].suspicion.lone_deaths == 1
    assert send(isolation, 34.0, [server]) == []
    assert isolation.reserved is None
    assert send(isolation, 35.0, [server]) == items


def test_a_death_without_it_clears_a_suspect() -> None:
    isolation, server, items = make(1)
    isolation.met_death_alone(items[0], server, 5.0)
    isolation.died_without([], Server())
    assert items[0].suspicion.lone_deaths == 1  # what another one dies of says nothing about this one
    isolation.died_without([], server)
    assert [item.suspicion.lone_deaths for item in items] == [0]


def test_suspects_wait_for_their_server() -> None:
    """A text that killed one is not let loose on the next; in the end another one may try it."""
    isolation, server, items = make(2)
    server.up = False
    other = Server()
    assert send(isolation, 0.0, [other]) == []
    isolation.release_from(server)
    assert send(isolation, 1.0, [other]) == items


def test_only_one_worker_tries_suspects() -> None:
    isolation, server, items = make(2)
    assert send(isolation, 0.0, [server], allowed=False) == []
    assert send(isolation, 0.1, [server], allowed=True) == items


def test_suspects_of_ended_jobs_are_forgotten() -> None:
    isolation, server, items = make(2)
    for item in items:
        item.closed = True
    assert send(isolation, 0.0, [server]) == []
    isolation.next(0.1, [server], True)
    assert isolation.reserved is None


def test_ended_suspects_are_not_waited_for() -> None:
    """Also where none can be sent: whoever has no place any more must not keep others from trying theirs."""
    isolation, server, items = make(30)
    sent = send(isolation, 0.0, [server])
    assert len(sent) == 10
    for item in items:
        item.closed = True
    assert isolation.waiting
    isolation.advance(1.0, [server], True)
    assert isolation.reserved is None
    assert not isolation.waiting
