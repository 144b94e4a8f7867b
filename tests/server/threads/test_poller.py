"""Pollers: one contract, held by each of them; and the whole server on the portable one."""

import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import dewar.server.threads.pool
from dewar.server.threads.poller import (
    PEER_CLOSED,
    READ,
    WRITE,
    EpollPoller,
    Poller,
    SelectorPoller,
    open_poller,
)
from dewar.support.waker import Waker
from servertools import Serve, block_a_moment


@pytest.fixture
def waker() -> Iterator[Waker]:
    made = Waker()
    yield made
    made.close()


class PollerContract:
    """What every poller does."""

    #: Whether it tells that a peer has closed its side, and nothing else.
    sees_the_end = True

    @pytest.fixture
    def poller(self, waker: Waker) -> Iterator[Poller]:
        made = self.make(waker)
        made.register(waker.fd, READ)
        yield made
        made.close()

    def make(self, waker: Waker) -> Poller:
        """Return a new poller."""
        raise NotImplementedError

    def events(self, poller: Poller, waker: Waker, timeout: float = 0) -> dict[int, int]:
        """Return what is ready besides the waker."""
        found = dict(poller.poll(timeout))
        if found.pop(waker.fd, None):
            waker.clear()
            found = {fd: mask for fd, mask in poller.poll(timeout) if fd != waker.fd}
        return found

    def test_it_reports_as_long_as_there_is_something(self, poller: Poller, waker: Waker) -> None:
        """Level-triggered: what was not taken is reported again."""
        a, b = socket.socketpair()
        with a, b:
            poller.register(a.fileno(), READ)
            assert self.events(poller, waker) == {}
            b.send(b"x")
            for _ in range(3):
                assert self.events(poller, waker) == {a.fileno(): READ}
            a.recv(10)
            assert self.events(poller, waker) == {}
            poller.unregister(a.fileno())

    def test_interest_can_change_and_end(self, poller: Poller, waker: Waker) -> None:
        """From reading to writing to nothing, and back."""
        a, b = socket.socketpair()
        with a, b:
            poller.register(a.fileno(), READ)
            poller.modify(a.fileno(), WRITE)
            assert self.events(poller, waker) == {a.fileno(): WRITE}
            poller.unregister(a.fileno())
            b.send(b"x")
            assert self.events(poller, waker) == {}
            poller.register(a.fileno(), READ)
            assert self.events(poller, waker) == {a.fileno(): READ}
            poller.unregister(a.fileno())

    def test_only_the_end_can_be_watched_for(self, poller: Poller, waker: Waker) -> None:
        """What has come is not reported then; the portable poller reports nothing at all."""
        a, b = socket.socketpair()
        with a, b:
            poller.register(a.fileno(), READ)
            b.send(b"x")
            assert self.events(poller, waker) == {a.fileno(): READ}
            poller.modify(a.fileno(), PEER_CLOSED)
            assert self.events(poller, waker) == {}
            b.shutdown(socket.SHUT_WR)
            found = self.events(poller, waker)
            if self.sees_the_end:
                assert found[a.fileno()] & PEER_CLOSED
            else:
                assert found == {}
            poller.modify(a.fileno(), READ)
            assert self.events(poller, waker)[a.fileno()] & READ
            poller.unregister(a.fileno())

    def test_its_own_descriptor_is_readable_while_it_has_news(
        self, poller: Poller, waker: Waker
    ) -> None:
        """So that another poller can watch it, if it has one."""
        fd = poller.maybe_fd()
        if fd is None:
            assert not self.sees_the_end
            return
        assert select.select([fd], [], [], 0)[0] == []
        waker.wake()
        assert select.select([fd], [], [], 5)[0] == [fd]
        waker.clear()
        assert select.select([fd], [], [], 0)[0] == []

    def test_a_number_that_is_used_again_is_another_descriptor(
        self, poller: Poller, waker: Waker
    ) -> None:
        """After unregister and close nothing of the former one is left."""
        a, b = socket.socketpair()
        number = a.fileno()
        poller.register(number, READ)
        b.send(b"x")
        poller.unregister(number)
        a.close()
        b.close()
        c, d = socket.socketpair()
        with c, d:
            poller.register(c.fileno(), READ)
            assert self.events(poller, waker) == {}
            d.send(b"y")
            assert self.events(poller, waker) == {c.fileno(): READ}
            poller.unregister(c.fileno())

    def test_another_thread_may_add_to_a_poll_that_waits(
        self, poller: Poller, waker: Waker
    ) -> None:
        """It takes effect in the very poll that is going on, or in the next one at once."""
        a, b = socket.socketpair()
        with a, b:
            b.send(b"x")
            adder = threading.Thread(target=poller.register, args=(a.fileno(), READ))
            adder.start()
            found: dict[int, int] = {}
            while a.fileno() not in found:
                found = self.events(poller, waker, timeout=5)
            adder.join()
            assert found == {a.fileno(): READ}
            poller.unregister(a.fileno())


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")
class TestEpollPoller(PollerContract):
    """The poller on Linux."""

    def make(self, waker: Waker) -> Poller:
        """Return an EpollPoller."""
        return EpollPoller()


class TestSelectorPoller(PollerContract):
    """The poller elsewhere."""

    sees_the_end = False

    def make(self, waker: Waker) -> Poller:
        """Return a SelectorPoller."""
        return SelectorPoller(waker.wake)


def test_a_waker_can_be_woken_any_number_of_times(waker: Waker) -> None:
    """Also by many threads at once; one clear is enough."""
    poller = open_poller(waker)
    for _ in range(100_000):
        waker.wake()
    assert poller.poll(0) == [(waker.fd, READ)]
    while poller.poll(0):
        waker.clear()
    waker.clear()
    poller.close()


@pytest.mark.parametrize("threads", [1, 4])
def test_the_server_works_on_the_portable_poller(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Quick and slow handlers, large answers, many clients."""

    def portable(waker: Waker) -> Poller:
        made = SelectorPoller(waker.wake)
        made.register(waker.fd, READ)
        return made

    monkeypatch.setattr(dewar.server.threads.pool, "open_poller", portable)

    def app(environ: Any, start_response: Any) -> Any:
        name = environ["PATH_INFO"].encode()
        if name.endswith(b"3"):
            block_a_moment()
        start_response("200 OK", [])
        return [name * (100_000 if name.endswith(b"5") else 1)]

    served = serve(app, threads=threads)
    wrong: list[str] = []

    def work(number: int) -> None:
        client = served.client()
        for turn in range(20):
            name = f"/{number}-{turn}"
            expected = name.encode() * (100_000 if name.endswith("5") else 1)
            if client.get(name)[2] != expected:
                wrong.append(name)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
