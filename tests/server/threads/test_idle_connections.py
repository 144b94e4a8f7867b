"""Idle connections give way to new clients when `max_connections` is reached."""

import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from certificates import Certificates
from dewar.server.connection.connection import Connection
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.settings.settings import Settings
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.idle_connections import IdleConnections
from dewar.server.threads.poller import READ
from polling import eventually
from servertools import Client, Serve, Served, wait_in_head

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def here(environ: Any, start_response: Any) -> Any:
    """Answer at once."""
    start_response("200 OK", [])
    return [b"here"]


class Poller:
    """Reports nothing."""

    def register(self, fd: int, interest: int) -> None:
        """Watch *fd*."""

    def unregister(self, fd: int) -> None:
        """Forget *fd*."""

    modify = register


class CountedTable(ConnectionTable):
    """Counts how often all connections are looked at."""

    looks = 0

    def leader_owned(self) -> list[Connection]:
        """See `ConnectionTable`."""
        self.looks += 1
        return super().leader_owned()


class Bench:
    """Connections whose clients do what the test says, at times that it says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.server_context = ServerContext(here, Settings(), lambda: self.now)
        nothing = lambda connection: None  # noqa: E731
        self.table = CountedTable(Poller(), nothing, nothing)  # type: ignore[arg-type]
        self.idle = IdleConnections(self.server_context, self.table)
        self.clients: dict[str, tuple[socket.socket, Connection]] = {}

    def open(self, name: str, requests: int = 0) -> None:
        """Have a client connect and be answered so often."""
        theirs, ours = socket.socketpair()
        ours.setblocking(False)
        connection = Connection(self.server_context, ours, self.server_context.base_environ)
        self.table.add([connection])
        self.clients[name] = theirs, connection
        for _ in range(requests):
            self.ask(name)

    def ask(self, name: str) -> None:
        """Have a client be answered once more."""
        client, connection = self.clients[name]
        client.sendall(REQUEST)
        assert connection.receive()
        connection.run()
        assert client.recv(4096).endswith(b"here")

    def wait(self) -> None:
        """Let a second pass."""
        self.now += 1.0
        self.server_context.now = self.now

    def closed(self) -> set[str]:
        """Return whose connections are closed."""
        closed = ConnectionState.CLOSED
        return {name for name, (_, one) in self.clients.items() if one.state is closed}


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for client, connection in made.clients.values():
        client.close()
        connection.sock.close()


def test_the_one_that_was_used_least_recently_goes_first(bench: Bench) -> None:
    """The order of their last requests counts, and not that of their connections."""
    for name in "abc":
        bench.open(name, requests=1)
        bench.wait()
    bench.ask("a")
    order = []
    for _ in range(3):
        bench.wait()
        assert bench.idle.close_longest()
        order += sorted(bench.closed() - set(order))
    assert order == ["b", "c", "a"]
    assert not bench.idle.close_longest()
    assert bench.table.count == 0


def test_those_that_never_sent_anything_go_last(bench: Bench) -> None:
    """Their clients may be about to send; the oldest of them goes first."""
    bench.open("silent")
    bench.wait()
    bench.open("younger")
    bench.wait()
    bench.open("served", requests=1)
    for expected in ({"served"}, {"served", "silent"}, {"served", "silent", "younger"}):
        bench.wait()
        assert bench.idle.close_longest()
        assert bench.closed() == expected


def test_one_that_is_used_after_the_look_is_spared(bench: Bench) -> None:
    """It is not the longest idle any more."""
    for name in "abc":
        bench.open(name, requests=1)
        bench.wait()
    assert bench.idle.close_longest()
    bench.ask("b")
    assert bench.idle.close_longest()
    assert bench.closed() == {"a", "c"}


def test_a_request_that_has_arrived_is_answered(bench: Bench) -> None:
    """A connection is not idle if its next request waits in the socket."""
    bench.open("a", requests=1)
    client, connection = bench.clients["a"]
    client.sendall(REQUEST)
    bench.wait()
    assert not bench.idle.close_longest()
    assert connection.receive()


@pytest.mark.parametrize("state", ["head", "body", "handed off", "suspended"])
def test_a_busy_connection_never_gives_way(bench: Bench, state: str) -> None:
    """Whether its request is being received, or run."""
    bench.open("a", requests=1)
    client, connection = bench.clients["a"]
    if state == "handed off":
        bench.table.hand_off(connection)
    elif state == "suspended":
        bench.table.suspended[connection.fd] = bench.table.open.pop(connection.fd)
    else:
        client.sendall(REQUEST[:9] if state == "head" else b"POST" + REQUEST[3:-2] + LENGTH)
        assert not connection.receive()
    bench.wait()
    assert not bench.idle.close_longest()


LENGTH = b"Content-Length: 5\r\n\r\n"


def test_a_descriptor_that_is_used_again_is_another_connection(bench: Bench) -> None:
    """What was put in order may be closed when its turn comes."""
    bench.open("a", requests=1)
    bench.open("b", requests=1)
    assert bench.idle.close_longest()
    bench.table.remove(bench.clients["b"][1])
    bench.wait()
    bench.open("c")
    assert bench.clients["c"][1].fd in (bench.clients["a"][1].fd, bench.clients["b"][1].fd)
    bench.ask("c")
    assert not bench.idle._try_close(bench.now - 1.0, bench.clients["c"][1].fd)


def test_a_flood_does_not_look_at_all_connections_each_time(bench: Bench) -> None:
    """Neither if many are idle, nor if none is."""
    for number in range(200):
        bench.open(str(number), requests=1)
    for _ in range(200):
        assert bench.idle.close_longest()
    assert bench.table.looks == 1
    for number in range(200, 400):
        bench.open(str(number), requests=1)
        bench.table.hand_off(bench.clients[str(number)][1])
    bench.wait()
    for _ in range(1000):
        assert not bench.idle.close_longest()
    assert bench.table.looks == 2
    bench.wait()
    bench.idle.close_longest()
    assert bench.table.looks == 3


def test_the_log_says_it_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """And which settings to change."""
    caplog.set_level(logging.WARNING, "dewar.server")
    for name in "abc":
        bench.open(name, requests=1)
    for _ in range(3):
        assert bench.idle.close_longest()
    (record,) = caplog.records
    assert "max_connections=16384" in record.getMessage()
    assert "keep_alive" in record.getMessage()


# Through the whole server.


def is_open(client: Client) -> bool:
    """Whether the server has not closed; the client must not be waiting for an answer."""
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1, socket.MSG_PEEK) != b""
    except (BlockingIOError, OSError) as error:
        return isinstance(error, BlockingIOError)
    finally:
        client.sock.settimeout(10)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("requests", [0, 1])
def test_newcomers_are_served_although_all_places_are_taken(
    serve: Serve, threads: int, requests: int
) -> None:
    """If those who have them are idle, whether or not they ever sent anything."""
    served = serve(here, threads=threads, max_connections=300)
    idle = [served.client() for _ in range(300)]
    for client in idle[: 300 * requests]:
        client.get()
    eventually(lambda: served.server.statistics().pool.connections == 300)
    newcomers = [served.client() for _ in range(100)]
    for client in newcomers:
        assert client.get()[0] == b"HTTP/1.1 200 OK"
    statistics = served.server.statistics().pool
    assert (statistics.rejected, statistics.displaced) == (0, 100)
    assert [is_open(client) for client in idle] == [False] * 100 + [True] * 200
    assert all(client.get()[0] == b"HTTP/1.1 200 OK" for client in newcomers)


def test_newcomers_of_newcomers_are_served(serve: Serve) -> None:
    """Many more clients than places, one after the other."""
    served = serve(here, max_connections=5)
    for _ in range(100):
        assert served.client().get()[0] == b"HTTP/1.1 200 OK"
    assert served.server.statistics().pool.displaced == 95


def test_over_tls_too(serve: Serve, certificates: Certificates) -> None:
    """The place is given before the handshake."""
    served = serve(here, max_connections=2, **certificates.pair())
    clients = [served.client(certificates.client()) for _ in range(2)]
    for client in clients:
        client.get()
    assert served.client(certificates.client()).get()[0] == b"HTTP/1.1 200 OK"
    assert clients[1].get()[0] == b"HTTP/1.1 200 OK"


def held(served: Served, entered: threading.Semaphore, count: int) -> list[Client]:
    """Return clients whose requests are inside the application."""
    clients = [served.client() for _ in range(count)]
    for client in clients:
        client.send(REQUEST)
        assert entered.acquire(timeout=10)
    return clients


def test_only_idle_ones_give_way_and_then_there_is_a_503(serve: Serve) -> None:
    """Requests that are received or run go on."""
    entered, gate = threading.Semaphore(0), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        entered.release()
        gate.wait(20)
        return here(environ, start_response)

    served = serve(app, threads=4, max_connections=4)
    running = held(served, entered, 2)
    reading = served.client()
    reading.send(REQUEST[:-2])
    wait_in_head(served.server, 1)
    idle = served.client()
    eventually(lambda: served.server.statistics().pool.connections == 4)
    newcomer = served.client()
    newcomer.send(REQUEST[:-2])
    wait_in_head(served.server, 2)
    assert idle.is_closed()
    assert served.client().answer()[0] == b"HTTP/1.1 503 Service Unavailable"
    gate.set()
    for client in (reading, newcomer):
        client.send(REQUEST[-2:])
    for client in (*running, reading, newcomer):
        assert client.answer()[2] == b"here"


def test_an_idle_connection_is_in_the_poller_for_reading(serve: Serve) -> None:
    """A newcomer that has got the descriptor of the one before it is watched as that was."""
    served = serve(here, threads=1, max_connections=2)  # the last one may not be idle yet
    for _ in range(5):
        assert served.client().get()[2] == b"here"
    connections = served.server._backend._pool._connections.open  # type: ignore[union-attr]
    assert [one.interest for one in connections.values()] == [READ] * 2
