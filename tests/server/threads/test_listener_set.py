"""The listeners, and who waits on them."""

import socket
from collections.abc import Iterator

import pytest

from dewar.server.system.listeners import open_listeners
from dewar.server.threads.listener_set import ListenerSet
from dewar.server.threads.poller import READ, open_poller
from dewar.support.waker import Waker


class Bench:
    """Two listeners with a poller of their own, and clients."""

    def __init__(self) -> None:
        self._waker = Waker()
        self.poller = open_poller(self._waker)
        sockets = open_listeners("127.0.0.1:0,127.0.0.1:0", 64)
        self.first, self.second = (listener.fileno() for listener in sockets)
        self._addresses = {listener.fileno(): listener.getsockname() for listener in sockets}
        self.listeners = ListenerSet(sockets, self.poller)
        self._clients: list[socket.socket] = []

    def come(self, fd: int) -> None:
        """Have a client connect."""
        self._clients.append(socket.create_connection(self._addresses[fd]))

    def take(self, fd: int) -> None:
        """Accept it."""
        self.listeners.by_fd[fd].accept()[0].close()

    def close(self) -> None:
        """End."""
        self.listeners.close()
        for client in self._clients:
            client.close()
        self.poller.close()
        self._waker.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_clients_are_reported_while_they_are_watched(bench: Bench) -> None:
    """On the listener on which they come, and not before or after."""
    bench.come(bench.first)
    assert bench.poller.poll(0) == []
    bench.listeners.register()
    assert bench.poller.poll(1.0) == [(bench.first, READ)]
    bench.listeners.unregister()
    assert bench.poller.poll(0) == []


def test_a_look_finds_those_who_waited_at_the_last_one(bench: Bench) -> None:
    """Another process had the time in between to take them."""
    bench.come(bench.first)
    assert bench.listeners.look() == set()
    bench.come(bench.second)
    assert bench.listeners.look() == {bench.first}
    assert bench.listeners.look() == {bench.first, bench.second}
    bench.take(bench.first)
    assert bench.listeners.look() == {bench.second}


def test_looks_can_begin_anew(bench: Bench) -> None:
    """What was seen long ago says nothing of now."""
    bench.come(bench.first)
    bench.listeners.look()
    bench.listeners.begin_looks()
    assert bench.listeners.look() == set()
    assert bench.listeners.look() == {bench.first}


def test_closing_leaves_none(bench: Bench) -> None:
    """It may be closed again."""
    sockets = list(bench.listeners.by_fd.values())
    assert repr(bench.listeners) == "<ListenerSet of 2>"
    bench.listeners.close()
    bench.listeners.close()
    assert len(bench.listeners) == 0
    assert [listener.fileno() for listener in sockets] == [-1, -1]
