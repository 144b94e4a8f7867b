"""The socket of an application, where threads and the end of its call meet."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from dewar.server.connection.upgrade_socket import TakenSocket
from upgradetools import GOING_AWAY, SWITCHED


@pytest.fixture
def pair() -> Iterator[tuple[TakenSocket, socket.socket]]:
    """Return a taken socket and its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(20)
    with ours, theirs:
        yield TakenSocket(ours), theirs


def test_it_is_closed_at_once_if_nobody_else_receives(
    pair: tuple[TakenSocket, socket.socket],
) -> None:
    """The thread of the call has received, and its descriptor is none any more."""
    taken, other = pair
    other.send(b"x")
    assert (taken.recv(1, 0), taken.fileno() >= 0) == (b"x", True)
    taken.end(3600.0)
    assert taken.fileno() == -1
    assert other.recv(1) == b""


@pytest.mark.parametrize("use", ["recv", "fileno"])
def test_another_thread_that_receives_may_leave_first(
    pair: tuple[TakenSocket, socket.socket], use: str
) -> None:
    """Also one that has only asked for the descriptor, to give it to a selector."""
    taken, other = pair
    other.send(b"x")
    waits, left, received = threading.Event(), threading.Event(), threading.Event()

    def receive() -> None:
        if use == "fileno":
            taken.fileno()
        else:
            taken.recv(1, 0)
        received.set()
        assert left.wait(20)

    reader = threading.Thread(target=receive)
    reader.start()
    assert received.wait(20)

    class Left(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.set()
            assert timeout == 3600.0
            return left.wait(20)

    taken.is_left = Left()
    ender = threading.Thread(target=taken.end, args=(3600.0,))
    ender.start()
    assert waits.wait(20)
    assert taken.sock.fileno() >= 0
    taken.sendall(b"answer", 0)
    left.set()
    ender.join(20)
    reader.join(20)
    assert other.recv(10) == b"answer"
    assert taken.sock.fileno() == -1


def test_another_thread_that_does_not_leave_is_shut_out(
    pair: tuple[TakenSocket, socket.socket],
) -> None:
    """After the patience."""
    taken, other = pair
    received = threading.Event()

    def receive() -> None:
        with suppress(OSError):
            while taken.recv(1, 0):
                received.set()

    other.send(b"x")
    reader = threading.Thread(target=receive)
    reader.start()
    assert received.wait(20)
    taken.end(0.0)
    reader.join(20)
    assert taken.sock.fileno() == -1
    assert other.recv(1) == b""


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ([], b""),
        ([b"HTTP/1.1 403 Forbidden\r\n\r\n"], b""),
        ([SWITCHED], GOING_AWAY),
        ([SWITCHED, bytearray(b"\x81\x01a")], GOING_AWAY),
        ([SWITCHED, b"\x88\x00"], b""),
        ([SWITCHED, memoryview(b"\x88\x00"), b"\x81\x01a"], GOING_AWAY),
        ([SWITCHED, b""], GOING_AWAY),
    ],
)
def test_1001_is_said_once_where_it_has_a_meaning(
    pair: tuple[TakenSocket, socket.socket], sent: list[bytes], said: bytes
) -> None:
    """To a client that was told to switch, and was not told the end yet."""
    taken, other = pair
    for data in sent:
        assert taken.send(data, 0) == len(data)
    taken.say_going_away()
    taken.say_going_away()
    taken.end(0.0)
    received = b"".join(iter(lambda: other.recv(1000), b""))
    assert received == b"".join(map(bytes, sent)) + said


@pytest.mark.parametrize("timeout", [None, 0.0, 0.5], ids=["blocking", "not", "timeout"])
def test_1001_waits_for_nobody(
    pair: tuple[TakenSocket, socket.socket], timeout: float | None
) -> None:
    """Neither for a thread that sends, nor for a client that does not read; it is said later."""
    taken, other = pair
    taken.sendall(SWITCHED, 0)
    with taken._sending:
        taken.say_going_away()
    taken.sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            taken.send(b"\x81\x01a" * 10_000, 0)
    taken.sock.settimeout(timeout)
    taken.say_going_away()
    other.setblocking(False)
    received = b""
    with suppress(BlockingIOError):
        while True:
            received += other.recv(10_000_000)
    assert GOING_AWAY not in received
    taken.say_going_away()
    assert other.recv(100) == GOING_AWAY


def test_1001_is_not_said_on_a_closed_socket(pair: tuple[TakenSocket, socket.socket]) -> None:
    """The application has closed it."""
    taken, other = pair
    taken.sendall(SWITCHED, 0)
    taken.sock.close()
    taken.say_going_away()
    assert other.recv(1000) == SWITCHED
    assert other.recv(1000) == b""
