"""`Roster`: what becomes of connections that wait for the event loop."""

from typing import Any

import pytest

from dewar.server.connection.state import State
from dewar.server.threads.poller import GONE, READ
from dewar.server.threads.roster import Roster


class FakePoller:
    """A poller that knows what it would report."""

    def __init__(self) -> None:
        self.watched: dict[int, int] = {}

    def watch(self, fd: int, interest: int) -> None:
        """Note it."""
        self.watched[fd] = interest

    change = watch

    def forget(self, fd: int) -> None:
        """Note it."""
        del self.watched[fd]


class FakeConnection:
    """A connection whose client is where the test has it; it is its own suspension."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.armed = self.served = self.cancelled = 0
        self.state = State.SUSPENDED
        self.suspension: Any = self
        self.has_left = self.is_cut = self.is_closed = False
        self.give_back: Any = None

    def launch(self, give_back: Any) -> None:
        """Take note of what gives it back."""
        self.give_back = give_back

    def cancel(self) -> None:
        """Count it."""
        self.cancelled += 1

    def is_deserted(self) -> bool:
        """Tell whether the client has left."""
        return self.has_left

    def cut(self) -> None:
        """Note it."""
        self.is_cut = True

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


class Bench:
    """A roster with one connection that waits for the loop."""

    def __init__(self) -> None:
        self.poller = FakePoller()
        self.given_back: list[Any] = []
        self.roster = Roster(self.poller, self.given_back.append)  # type: ignore[arg-type]
        self.connection: Any = FakeConnection(7)
        self.roster.admit([self.connection])

    def come_back(self, state: State) -> None:
        """Have the loop or a thread be done with the connection."""
        self.connection.state = state
        self.roster.welcome_back(self.connection)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_suspended_counts_and_is_not_the_leaders(bench: Bench) -> None:
    """The loop has it, and gives it back; then it is the leader's again."""
    roster = bench.roster
    assert (roster.count, roster.at_home(), roster.suspended) == (1, [], {7: bench.connection})
    bench.connection.served = 3
    assert roster.requests() == 3
    bench.connection.give_back()
    assert bench.given_back == [bench.connection]
    bench.come_back(State.IDLE)
    assert (roster.count, roster.at_home(), roster.suspended) == (1, [bench.connection], {})
    assert bench.poller.watched == {7: READ}
    assert repr(roster) == "<Roster 1 open, 0 away, 0 suspended>"


def test_more_from_a_client_that_waits_is_left_in_the_socket(bench: Bench) -> None:
    """From then on only its end is watched for, and that cancels what it waited for."""
    assert bench.roster.look_at(7)
    assert bench.poller.watched == {7: GONE}
    assert bench.connection.cancelled == 0
    assert bench.roster.look_at(7)
    assert bench.connection.cancelled == 1
    assert bench.poller.watched == {}


def test_a_client_that_leaves_has_what_it_waited_for_cancelled(bench: Bench) -> None:
    """It is closed when that has ended, not before."""
    bench.connection.has_left = True
    assert bench.roster.look_at(7)
    assert (bench.connection.cancelled, bench.connection.is_closed) == (1, False)
    bench.come_back(State.CLOSED)
    assert bench.connection.is_closed
    assert bench.roster.count == 0


def test_one_that_has_just_ended_has_nothing_to_cancel(bench: Bench) -> None:
    """The loop may end it while the leader looks at it."""
    bench.connection.has_left = True
    bench.connection.suspension = None
    assert bench.roster.look_at(7)
    assert bench.connection.cancelled == 0


def test_a_stale_event_of_one_that_is_on_a_thread_changes_nothing(bench: Bench) -> None:
    """And what is no suspended connection is somebody else's event."""
    bench.roster.send_away(bench.connection)
    bench.connection.has_left = True
    assert bench.roster.look_at(7)
    assert bench.connection.cancelled == 0
    assert not bench.roster.look_at(8)


@pytest.mark.parametrize("is_away", [False, True])
def test_a_roster_that_closes_waits_until_nothing_is_suspended(bench: Bench, is_away: bool) -> None:
    """What waits is cancelled, what is on a thread is cut; each is closed as it comes back."""
    if is_away:
        bench.roster.send_away(bench.connection)
    bench.roster.close([])
    assert not bench.roster.is_quiet.is_set()
    assert (bench.connection.cancelled, bench.connection.is_cut) == (not is_away, is_away)
    bench.come_back(State.SUSPENDED)  # for the loop once more
    assert bench.connection.cancelled == 1 + (not is_away)
    assert not bench.roster.is_quiet.is_set()
    bench.come_back(State.IDLE)
    assert bench.connection.is_closed
    assert bench.roster.is_quiet.is_set()
    assert bench.poller.watched == {}
