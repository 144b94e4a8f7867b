"""`ConnectionTable`: the connections that wait for the event loop."""

from typing import Any

import pytest

from dewar.server.connection.state import ConnectionState
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.poller import PEER_CLOSED, READ, WRITE


class FakePoller:
    """A poller that notes what it would report."""

    def __init__(self) -> None:
        self.watched: dict[int, int] = {}

    def register(self, fd: int, interest: int) -> None:
        """Note it."""
        self.watched[fd] = interest

    modify = register

    def unregister(self, fd: int) -> None:
        """Note it."""
        del self.watched[fd]


class FakeConnection:
    """A connection in a state of the test's choice; it is its own asynchronous exchange."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.interest = self.served = self.cancelled = 0
        self.state = ConnectionState.SUSPENDED
        self.async_exchange: Any = self
        self.paused = None
        self.has_left = self.is_shut_down = self.is_closed = False
        self.give_back: Any = None

    def launch(self, give_back: Any) -> None:
        """Note the callback."""
        self.give_back = give_back

    def cancel(self) -> None:
        """Count it."""
        self.cancelled += 1

    def has_peer_closed(self) -> bool:
        """Return whether the client has left."""
        return self.has_left

    def shut_down_socket(self) -> None:
        """Note it."""
        self.is_shut_down = True

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class Bench:
    """A connection table with one connection that waits for the loop."""

    def __init__(self) -> None:
        self.poller = FakePoller()
        self.given_back: list[Any] = []
        self.upgrading: list[Any] = []
        self.connections = ConnectionTable(
            self.poller,  # type: ignore[arg-type]
            self.given_back.append,
            self.upgrading.append,
        )
        self.connection: Any = FakeConnection(7)
        self.connections.add([self.connection])

    def come_back(self, state: ConnectionState) -> None:
        """Have the loop or a thread be done with the connection."""
        self.connection.state = state
        self.connections.take_back(self.connection)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_suspended_counts_and_is_not_the_leaders(bench: Bench) -> None:
    """The loop has it, and gives it back; then it is the leader's again."""
    connections = bench.connections
    assert (connections.count, connections.leader_owned(), connections.suspended) == (
        1,
        [],
        {7: bench.connection},
    )
    bench.connection.served = 3
    assert connections.requests() == 3
    bench.connection.give_back(bench.connection)
    assert bench.given_back == [bench.connection]
    bench.come_back(ConnectionState.IDLE)
    assert (connections.count, connections.leader_owned(), connections.suspended) == (
        1,
        [bench.connection],
        {},
    )
    assert bench.poller.watched == {7: READ}
    assert repr(connections) == "<ConnectionTable 1 open, 0 handed off, 0 suspended, 0 upgraded>"


@pytest.mark.parametrize(
    "state", [ConnectionState.IDLE, ConnectionState.FLUSHING, ConnectionState.SUSPENDED]
)
def test_the_leader_finds_it_when_the_poller_is_ready_for_it(
    bench: Bench, state: ConnectionState
) -> None:
    """Not before: it may hold an event from before, and would hand off what is half applied."""
    connections, register = bench.connections, bench.poller.register
    found: list[bool] = []

    def watching(fd: int, interest: int) -> None:
        found.append(fd in connections.open)
        register(fd, interest)

    bench.poller.register = watching  # type: ignore[method-assign]
    connections.hand_off(bench.connection)
    bench.come_back(state)
    assert found == [False]
    assert (7 in connections.open) is (state is not ConnectionState.SUSPENDED)
    assert connections.handle_suspended(7), "an event from before belongs to this connection"


def test_more_from_a_client_that_waits_is_left_in_the_socket(bench: Bench) -> None:
    """From then on only its end is watched for, and that cancels what it waited for."""
    assert bench.connections.handle_suspended(7)
    assert bench.poller.watched == {7: PEER_CLOSED}
    assert bench.connection.cancelled == 0
    assert bench.connections.handle_suspended(7)
    assert bench.connection.cancelled == 1
    assert bench.poller.watched == {}


def test_a_client_that_leaves_has_what_it_waited_for_cancelled(bench: Bench) -> None:
    """It is closed when that has ended, not before."""
    bench.connection.has_left = True
    assert bench.connections.handle_suspended(7)
    assert (bench.connection.cancelled, bench.connection.is_closed) == (1, False)
    bench.come_back(ConnectionState.CLOSED)
    assert bench.connection.is_closed
    assert bench.connections.count == 0


def test_one_that_has_just_ended_has_nothing_to_cancel(bench: Bench) -> None:
    """The loop may end it while the leader looks at it."""
    bench.connection.has_left = True
    bench.connection.async_exchange = None
    assert bench.connections.handle_suspended(7)
    assert bench.connection.cancelled == 0


def test_a_stale_event_of_one_that_is_on_a_thread_changes_nothing(bench: Bench) -> None:
    """And an event of another descriptor is not handled here."""
    bench.connections.hand_off(bench.connection)
    bench.connection.has_left = True
    assert bench.connections.handle_suspended(7)
    assert bench.connection.cancelled == 0
    assert not bench.connections.handle_suspended(8)


@pytest.mark.parametrize("is_handed_off", [False, True])
def test_a_table_that_closes_waits_until_nothing_is_suspended(
    bench: Bench, is_handed_off: bool
) -> None:
    """What waits is cancelled, what is on a thread is cut; each is closed as it comes back."""
    if is_handed_off:
        bench.connections.hand_off(bench.connection)
    bench.connections.close()
    assert not bench.connections.is_quiescent.is_set()
    assert (bench.connection.cancelled, bench.connection.is_shut_down) == (
        not is_handed_off,
        is_handed_off,
    )
    bench.come_back(ConnectionState.SUSPENDED)  # for the loop once more
    assert bench.connection.cancelled == 1 + (not is_handed_off)
    assert not bench.connections.is_quiescent.is_set()
    bench.come_back(ConnectionState.IDLE)
    assert bench.connection.is_closed
    assert bench.connections.is_quiescent.is_set()
    assert bench.poller.watched == {}


# Connections that have left HTTP.


def test_what_has_left_http_is_watched_by_nobody_here(bench: Bench) -> None:
    """It counts, and its events are nobody's, until it comes back to be closed."""
    connections = bench.connections
    connections.note_upgraded(bench.connection)
    bench.connection.served = 2
    assert (connections.count, connections.requests()) == (1, 2)
    assert (connections.suspended, connections.upgraded) == ({}, {7: bench.connection})
    assert connections.leader_owned() == []
    assert bench.poller.watched == {}
    assert not connections.handle_suspended(7)
    bench.come_back(ConnectionState.SUSPENDED)  # for the loop once more
    assert (connections.suspended, bench.poller.watched) == ({}, {})
    assert bench.connection.cancelled == 0
    bench.come_back(ConnectionState.LINGERING)
    assert (connections.upgraded, connections.open) == ({}, {7: bench.connection})
    assert bench.poller.watched == {7: READ}
    bench.come_back(ConnectionState.CLOSED)
    assert (connections.count, connections.requests()) == (0, 2)


def test_one_on_a_thread_can_leave_http(bench: Bench) -> None:
    """The thread gives it back at the end."""
    bench.come_back(ConnectionState.IDLE)
    bench.connections.hand_off(bench.connection)
    bench.connections.note_upgraded(bench.connection)
    assert (bench.connections.open, bench.connections.count) == ({}, 1)
    bench.come_back(ConnectionState.CLOSED)
    assert (bench.connections.count, bench.connections.handed_off) == (0, set())


def test_a_request_that_may_leave_http_begins_in_its_turn(bench: Bench) -> None:
    """The leader begins it; after another request, when the client takes a response again."""
    bench.come_back(ConnectionState.UPGRADING)
    assert (bench.upgrading, bench.poller.watched) == ([], {7: WRITE})
    bench.connections.apply_state(bench.connection)
    assert bench.upgrading == [bench.connection]


def test_each_that_has_left_http_is_told_of_a_stop(bench: Bench) -> None:
    """Unless its call is just over."""
    told: list[str] = []

    class Upgrade:
        def say_going_away(self) -> None:
            told.append("going away")

    bench.connections.note_upgraded(bench.connection)
    bench.connection.upgrade = Upgrade()
    bench.connections.say_going_away()
    bench.connection.upgrade = None
    bench.connections.say_going_away()
    assert told == ["going away"]


@pytest.mark.parametrize("is_handed_off", [False, True])
def test_a_table_that_closes_waits_for_what_has_left_http(
    bench: Bench, is_handed_off: bool
) -> None:
    """What is on the loop is cancelled, what is on a thread is cut."""
    if is_handed_off:
        bench.connections.hand_off(bench.connection)
    bench.connections.note_upgraded(bench.connection)
    bench.connections.close()
    assert not bench.connections.is_quiescent.is_set()
    assert (bench.connection.cancelled, bench.connection.is_shut_down) == (
        not is_handed_off,
        is_handed_off,
    )
    bench.come_back(ConnectionState.LINGERING)
    assert bench.connection.is_closed
    assert bench.connections.is_quiescent.is_set()


def test_no_connection_has_a_function_of_its_own(bench: Bench) -> None:
    """Thousands may be suspended for hours; all share what gives them back."""
    other = FakeConnection(8)
    bench.connections.apply_state(other)  # type: ignore[arg-type]
    assert other.give_back is bench.connection.give_back
