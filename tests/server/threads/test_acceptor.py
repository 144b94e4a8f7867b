"""`Acceptor`: accepting clients, leaving them to other processes, and closing."""

import errno
import logging
import socket
from collections.abc import Iterator

import pytest

from dewar.server.connection.server_context import ServerContext
from dewar.server.errors import ServerStateError
from dewar.server.settings.settings import Settings
from dewar.server.system.listeners import open_listeners
from dewar.server.threads.acceptor import (
    TRANSITIONS,
    UNCLAIMED_AFTER,
    AcceptEvent,
    Acceptor,
    AcceptState,
)
from dewar.server.threads.poller import READ

LONGEST = 1.0


class Poller:
    """Remembers what it watches."""

    def __init__(self) -> None:
        self.watched: set[int] = set()

    def register(self, fd: int, interest: int) -> None:
        """See `dewar.server.threads.poller.Poller`."""
        assert interest == READ
        assert fd not in self.watched
        self.watched.add(fd)

    def unregister(self, fd: int) -> None:
        """See `dewar.server.threads.poller.Poller`."""
        self.watched.remove(fd)

    def modify(self, fd: int, interest: int) -> None:
        """See `dewar.server.threads.poller.Poller`."""

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """See `dewar.server.threads.poller.Poller`."""
        return []

    def close(self) -> None:
        """See `dewar.server.threads.poller.Poller`."""


class Balancer:
    """Says whether another process should have the next client."""

    def __init__(self) -> None:
        self.least = 0

    def note_open(self, count: int) -> None:
        """See `dewar.server.connection.server_context.Balancer`."""

    def should_defer(self, count: int) -> bool:
        """See `dewar.server.connection.server_context.Balancer`."""
        return count > self.least


class Bench:
    """An acceptor with a listener, a clock, and clients."""

    def __init__(self) -> None:
        self.now = 100.0
        settings = Settings(bind="127.0.0.1:0")
        self.server_context = ServerContext(lambda e, s: [], settings, lambda: self.now)
        self.balancer = self.server_context.balancer = Balancer()
        self.listeners = open_listeners("127.0.0.1:0", 64)
        (listener,) = self.listeners
        self.fd, self.address = listener.fileno(), listener.getsockname()
        self.poller = Poller()
        self.idle = 0
        self.acceptor = Acceptor(self.server_context, self.listeners, self.poller, self.make_room)
        self.clients: list[socket.socket] = []
        self.held = 0

    def make_room(self) -> bool:
        """Spare one of the idle connections."""
        self.idle -= 1
        return self.idle >= 0

    def come(self, count: int) -> None:
        """Have clients connect."""
        for _ in range(count):
            self.clients.append(socket.create_connection(self.address))

    def accept(self) -> int:
        """Return how many are taken at this event."""
        self.server_context.now = self.now
        room = self.server_context.settings.max_connections - self.held
        made = self.acceptor.accept(self.fd, room)
        for connection in made:
            connection.close()
        self.held += len(made)
        return len(made)

    def is_watching(self) -> bool:
        """Return whether new clients would be reported."""
        return self.fd in self.poller.watched


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.acceptor.leave()
    for client in bench.clients:
        client.close()


def test_alone_it_takes_all_that_have_come(bench: Bench) -> None:
    """If no listener is shared, no other process is asked."""
    bench.server_context.balancer = None
    bench.come(10)
    assert bench.accept() == 10


def test_the_next_client_is_left_to_a_process_with_fewer(bench: Bench) -> None:
    """For two milliseconds, in which it is not reported."""
    bench.come(5)
    assert bench.accept() == 1
    assert not bench.is_watching()
    assert bench.acceptor.until == bench.now + 0.002
    bench.now += 0.001
    assert bench.acceptor.listen_again(bench.now, LONGEST) == pytest.approx(0.001)
    assert not bench.is_watching()
    bench.now += 0.001
    assert bench.acceptor.listen_again(bench.now, LONGEST) == LONGEST
    assert bench.is_watching()
    assert bench.acceptor.until == 0.0


def defer_one(bench: Bench) -> None:
    """Let the time go by and listen again."""
    bench.now = bench.acceptor.until
    bench.acceptor.listen_again(bench.now, LONGEST)


def test_if_no_process_takes_them_it_takes_ever_more(bench: Bench) -> None:
    """The other one is busy, and clients must not wait for it."""
    bench.come(17)
    taken = []
    while sum(taken) < 17:
        taken.append(bench.accept())
        if bench.acceptor.until:
            defer_one(bench)
    assert taken == [1] + [1] * 8 + [2] * 4


def test_if_another_process_took_it_the_next_is_left_again(bench: Bench) -> None:
    """The row of failures ends with a success."""
    bench.come(4)
    assert bench.accept() == 1
    defer_one(bench)
    assert bench.accept() == 1
    defer_one(bench)
    for _ in range(2):
        bench.listeners[0].accept()[0].close()  # by the other process
    bench.now += 5
    bench.come(3)
    assert bench.accept() == 0
    defer_one(bench)
    assert bench.accept() == 1


def test_a_yield_ends_whoever_leads(bench: Bench) -> None:
    """A leader that does not ask how long to wait looks about once a second."""
    bench.come(2)
    bench.accept()
    bench.acceptor.tick(bench.now + 0.001)
    assert not bench.is_watching()
    bench.acceptor.tick(bench.now + 1.0)
    assert bench.is_watching()


def test_one_with_few_takes_them_until_it_has_its_share(bench: Bench) -> None:
    """It is asked before each."""
    bench.balancer.least = 3
    bench.come(8)
    assert bench.accept() == 4


def test_leaving_closes_the_listener_and_takes_no_client(bench: Bench) -> None:
    """Who waits is left to the other processes."""
    (shared,) = (listener.dup() for listener in bench.listeners)
    bench.come(2)
    bench.acceptor.leave()
    assert not bench.is_watching()
    assert bench.acceptor.accepted == 0
    bench.acceptor.leave()  # once more does no harm
    for _ in range(2):
        shared.accept()[0].close()
    shared.close()


def test_leaving_while_aside_is_the_same(bench: Bench) -> None:
    """Nothing is watched, so nothing is forgotten."""
    bench.come(2)
    bench.accept()
    bench.acceptor.leave()
    assert not bench.is_watching()


def test_a_server_that_stops_takes_all_that_are_left(bench: Bench) -> None:
    """Other listeners may be closed already."""
    bench.come(6)
    bench.server_context.draining = True
    room = bench.server_context.settings.max_connections
    last = bench.acceptor.close(room)
    assert len(last) == 6
    for connection in last:
        connection.close()


# What leads from LISTENING to each state.
WAYS = {
    AcceptState.LISTENING: (),
    AcceptState.YIELDING: (AcceptEvent.YIELD,),
    AcceptState.PAUSED: (AcceptEvent.EXHAUST,),
    AcceptState.STANDBY: (AcceptEvent.STEP_BACK,),
    AcceptState.STANDBY_PAUSED: (AcceptEvent.STEP_BACK, AcceptEvent.EXHAUST),
    AcceptState.CLOSED: (AcceptEvent.CLOSE,),
}


@pytest.mark.parametrize("event", AcceptEvent)
@pytest.mark.parametrize("state", AcceptState)
def test_it_goes_where_the_table_says_and_nowhere_else(
    bench: Bench, state: AcceptState, event: AcceptEvent
) -> None:
    """The poller reports clients in LISTENING alone; an illegal event changes nothing."""
    acceptor = bench.acceptor
    for step in WAYS[state]:
        acceptor._handle(step)
    assert acceptor.state is state
    assert bench.is_watching() is (state is AcceptState.LISTENING)
    if event in TRANSITIONS[state]:
        acceptor._handle(event)
        assert acceptor.state is TRANSITIONS[state][event]
    else:
        with pytest.raises(ServerStateError, match=f"{state.name}.* cannot take {event.name}"):
            acceptor._handle(event)
        assert acceptor.state is state
    assert bench.is_watching() is (acceptor.state is AcceptState.LISTENING)


def look(bench: Bench) -> int:
    """Return how many clients are taken, of those that no other process takes."""
    bench.server_context.now = bench.now
    made = bench.acceptor.accept_unclaimed(10)
    for connection in made:
        connection.close()
    return len(made)


def test_on_standby_it_takes_only_clients_that_no_process_takes(bench: Bench) -> None:
    """It looks now and then, and takes who has waited since the last look."""
    bench.acceptor.leave_to_others()
    bench.come(2)
    assert look(bench) == 0
    assert look(bench) == 0, "it is not time to look yet"
    bench.now += UNCLAIMED_AFTER
    assert look(bench) == 2
    bench.acceptor.accept_again()
    assert bench.is_watching()
    assert look(bench) == 0, "it listens again"


def exhaust(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process have no descriptor left."""

    def accept() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(bench.listeners[0], "accept", accept)


@pytest.mark.parametrize("is_back", [False, True])
def test_a_pause_lasts_its_time_whoever_leads(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_back: bool,
) -> None:
    """It is logged once, and a standby that begins and ends meanwhile does not end it."""
    caplog.set_level(logging.WARNING)
    bench.server_context.balancer = None
    bench.come(1)
    with monkeypatch.context() as patched:
        exhaust(bench, patched)
        if is_back:
            bench.acceptor.leave_to_others()
            look(bench)
            bench.now += UNCLAIMED_AFTER
            look(bench)
            bench.acceptor.accept_again()
        else:
            bench.accept()
            bench.acceptor.leave_to_others()
            look(bench)
            bench.acceptor.accept_again()
    assert [record.message[:17] for record in caplog.records] == ["Accepting pauses "]
    assert bench.acceptor.is_paused()
    assert repr(bench.acceptor) == "<Acceptor PAUSED, 1 listeners, 0 accepted>"
    bench.acceptor.tick(bench.now + 0.9)
    assert not bench.is_watching()
    bench.acceptor.tick(bench.now + 1.0)
    assert bench.is_watching()
    assert bench.accept() == 1


def test_without_descriptors_an_idle_connection_gives_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accepting pauses only if no connection is idle."""
    bench.server_context.balancer = None
    bench.come(2)
    bench.idle = 1
    accept, failures = bench.listeners[0].accept, [errno.EMFILE]

    def accept_if_idle() -> object:
        if failures and bench.idle:
            raise OSError(failures[0], "Too many open files")
        return accept()

    monkeypatch.setattr(bench.listeners[0], "accept", accept_if_idle)
    assert bench.accept() == 2
    assert bench.acceptor.displaced == 1
    assert not bench.acceptor.is_paused()
    failures[0], bench.idle = errno.ENFILE, -1
    assert bench.accept() == 0
    assert bench.acceptor.is_paused()


def test_above_the_limit_idle_connections_make_room_one_for_one(bench: Bench) -> None:
    """And those for whom there is none are rejected."""
    bench.server_context.balancer = None
    bench.come(5)
    bench.idle = 2
    bench.held = bench.server_context.settings.max_connections - 1
    bench.accept()
    assert (bench.acceptor.accepted, bench.acceptor.displaced, bench.acceptor.rejected) == (5, 2, 2)


def test_after_a_pause_on_standby_it_looks_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overflow leader leads all the while."""
    bench.acceptor.leave_to_others()
    bench.come(1)
    look(bench)
    bench.now += UNCLAIMED_AFTER
    with monkeypatch.context() as patched:
        exhaust(bench, patched)
        assert look(bench) == 0
    bench.now += 0.9
    assert look(bench) == 0
    bench.now += 0.1
    bench.acceptor.tick(bench.now)
    assert bench.acceptor.state is AcceptState.STANDBY
    assert look(bench) == 1


# The table.


def test_the_table_speaks_of_every_state_and_every_event() -> None:
    """Nothing is left out, and no event is there that never counts."""
    assert set(TRANSITIONS) == set(AcceptState)
    assert {event for moves in TRANSITIONS.values() for event in moves} == set(AcceptEvent)


def test_every_state_can_be_reached() -> None:
    """From LISTENING, in which an acceptor begins."""
    reached = {AcceptState.LISTENING}
    while more := {after for state in reached for after in TRANSITIONS[state].values()} - reached:
        reached |= more
    assert reached == set(AcceptState)


@pytest.mark.parametrize("state", AcceptState)
def test_it_can_be_closed_at_any_time_and_for_good(state: AcceptState) -> None:
    """Nothing leads out of CLOSED."""
    assert TRANSITIONS[state][AcceptEvent.CLOSE] is AcceptState.CLOSED
    assert set(TRANSITIONS[AcceptState.CLOSED].values()) == {AcceptState.CLOSED}


@pytest.mark.parametrize("state", [state for state in AcceptState if state.name != "CLOSED"])
def test_whatever_keeps_it_from_listening_passes(state: AcceptState) -> None:
    """Two events at most bring it back to LISTENING."""
    soon = {state, *TRANSITIONS[state].values()}
    later = {after for next_one in soon for after in TRANSITIONS[next_one].values()}
    assert AcceptState.LISTENING in soon | later


def test_a_pause_and_a_standby_are_kept_apart() -> None:
    """Whichever comes first, and whichever ends first."""
    paused = TRANSITIONS[AcceptState.LISTENING][AcceptEvent.EXHAUST]
    standby = TRANSITIONS[AcceptState.LISTENING][AcceptEvent.STEP_BACK]
    both = TRANSITIONS[paused][AcceptEvent.STEP_BACK]
    assert both is TRANSITIONS[standby][AcceptEvent.EXHAUST]
    assert TRANSITIONS[both][AcceptEvent.RESUME] is standby
    assert TRANSITIONS[both][AcceptEvent.STEP_FORWARD] is paused
