"""Taking clients, leaving them to others, and leaving altogether."""

import socket
from collections.abc import Iterator

import pytest

from dewar.server.connection.service import Service
from dewar.server.listeners import open_listeners
from dewar.server.settings import Settings
from dewar.server.threads.acceptor import Acceptor
from dewar.server.threads.poller import READ

PATIENCE = 1.0


class Poller:
    """Remembers what it watches."""

    def __init__(self) -> None:
        self.watched: set[int] = set()

    def watch(self, fd: int, interest: int) -> None:
        """See `dewar.server.threads.poller.Poller`."""
        assert interest == READ
        assert fd not in self.watched
        self.watched.add(fd)

    def forget(self, fd: int) -> None:
        """See `dewar.server.threads.poller.Poller`."""
        self.watched.remove(fd)

    def change(self, fd: int, interest: int) -> None:
        """See `dewar.server.threads.poller.Poller`."""

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """See `dewar.server.threads.poller.Poller`."""
        return []

    def close(self) -> None:
        """See `dewar.server.threads.poller.Poller`."""


class Share:
    """Says whether another process should have the next client."""

    def __init__(self) -> None:
        self.least = 0

    def note_open(self, count: int) -> None:
        """See `dewar.server.connection.service.Share`."""

    def steps_back(self, count: int) -> bool:
        """See `dewar.server.connection.service.Share`."""
        return count > self.least


class Bench:
    """An acceptor with a listener, a clock, and clients."""

    def __init__(self) -> None:
        self.now = 100.0
        settings = Settings(bind="127.0.0.1:0")
        self.service = Service(lambda e, s: [], settings, lambda: self.now)
        self.share = self.service.share = Share()
        self.listeners = open_listeners("127.0.0.1:0", 64)
        (listener,) = self.listeners
        self.fd, self.address = listener.fileno(), listener.getsockname()
        self.poller = Poller()
        self.acceptor = Acceptor(self.service, self.listeners, self.poller)
        self.clients: list[socket.socket] = []
        self.held = 0

    def come(self, count: int) -> None:
        """Have clients connect."""
        for _ in range(count):
            self.clients.append(socket.create_connection(self.address))

    def accept(self) -> int:
        """Return how many are taken at this event."""
        self.service.now = self.now
        room = self.service.settings.max_connections - self.held
        made = self.acceptor.accept(self.fd, room)
        for connection in made:
            connection.close()
        self.held += len(made)
        return len(made)

    def is_watching(self) -> bool:
        """Tell whether news of clients would be told."""
        return self.fd in self.poller.watched


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.acceptor.leave()
    for client in bench.clients:
        client.close()


def test_alone_it_takes_all_that_have_come(bench: Bench) -> None:
    """Where no listener is shared nobody is asked."""
    bench.service.share = None
    bench.come(10)
    assert bench.accept() == 10


def test_the_next_client_is_left_to_a_process_with_fewer(bench: Bench) -> None:
    """For two milliseconds, in which nothing is told of it."""
    bench.come(5)
    assert bench.accept() == 1
    assert not bench.is_watching()
    assert bench.acceptor.aside_until == bench.now + 0.002
    bench.now += 0.001
    assert bench.acceptor.wait_aside(bench.now, PATIENCE) == pytest.approx(0.001)
    assert not bench.is_watching()
    bench.now += 0.001
    assert bench.acceptor.wait_aside(bench.now, PATIENCE) == PATIENCE
    assert bench.is_watching()
    assert bench.acceptor.aside_until == 0.0


def step_aside(bench: Bench) -> None:
    """Let the time go by and listen again."""
    bench.now = bench.acceptor.aside_until
    bench.acceptor.wait_aside(bench.now, PATIENCE)


def test_where_nobody_takes_them_it_takes_ever_more(bench: Bench) -> None:
    """The other one is busy, and clients must not wait for it."""
    bench.come(16)
    taken = []
    while sum(taken) < 16:
        taken.append(bench.accept())
        if bench.acceptor.aside_until:
            step_aside(bench)
    assert taken == [1, 1, 2, 4, 8]


def test_where_somebody_took_it_the_next_is_left_again(bench: Bench) -> None:
    """The row of failures ends with a success."""
    bench.come(4)
    assert bench.accept() == 1
    step_aside(bench)
    assert bench.accept() == 1
    step_aside(bench)
    for _ in range(2):
        bench.listeners[0].accept()[0].close()  # by the other process
    bench.now += 5
    bench.come(3)
    assert bench.accept() == 0
    step_aside(bench)
    assert bench.accept() == 1


def test_one_with_few_takes_them_until_it_has_its_share(bench: Bench) -> None:
    """It is asked before each."""
    bench.share.least = 3
    bench.come(8)
    assert bench.accept() == 4


def test_leaving_closes_the_listener_and_takes_nobody(bench: Bench) -> None:
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
    """Others may have gone already."""
    bench.come(6)
    bench.service.draining = True
    room = bench.service.settings.max_connections
    last = bench.acceptor.close(room)
    assert len(last) == 6
    for connection in last:
        connection.close()
