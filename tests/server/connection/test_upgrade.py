"""What a request is offered to leave HTTP with, from the offer to the end."""

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Iterator
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from dewar.loop.process_loop import process_loop
from dewar.server.connection.connection import Connection
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.connection.upgrade import TRANSITIONS, Upgrade, UpgradeState
from dewar.server.connection.upgrade_socket import TakenSocket, UpgradeSocket
from dewar.server.settings.settings import Settings
from dewar.server.wire.reader import RequestReader
from upgradetools import ask


class Bench:
    """A connection over real sockets, without a pool."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.server_context = ServerContext(app, Settings(), lambda: 0.0)
        self.taken = 0

    def connect(self) -> socket.socket:
        """Open a connection; return the client's socket."""
        client, ours = socket.socketpair()
        ours.setblocking(False)
        self.connection = Connection(self.server_context, ours, {})
        return client

    def begin(self) -> None:
        """Receive a request that may leave HTTP, and offer that."""
        assert not self.connection.receive()
        assert self.connection.state is ConnectionState.UPGRADING
        self.connection.offer_upgrade(self._note)

    def _note(self) -> None:
        self.taken += 1


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Keep what is garbage, and the log quiet."""
    gc.collect()
    gc.disable()
    logging.getLogger("dewar.server").disabled = True
    yield
    logging.getLogger("dewar.server").disabled = False
    gc.enable()


def test_every_state_ends_in_the_last() -> None:
    """The table is complete, and nothing comes back from the end."""
    assert set(TRANSITIONS) == set(UpgradeState)
    assert TRANSITIONS[UpgradeState.OVER] == frozenset()
    for state, following in TRANSITIONS.items():
        assert state not in following
        assert state is UpgradeState.OVER or UpgradeState.OVER in following


def declines(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b"plain"]


def fails(environ: Any, start_response: Any) -> Any:
    raise ZeroDivisionError


def takes(environ: Any, start_response: Any) -> Any:
    environ["werkzeug.socket"].sendall(b"taken")
    return []


def takes_and_fails(environ: Any, start_response: Any) -> Any:
    environ["gunicorn.socket"].sendall(b"taken")
    raise ZeroDivisionError


@pytest.mark.parametrize("early", [b"", b"early"])
@pytest.mark.parametrize(
    ("app", "sent"),
    [(declines, b"plain"), (fails, b"Error\n"), (takes, b"taken"), (takes_and_fails, b"taken")],
)
def test_its_end_leaves_no_garbage(no_collector: None, app: Any, sent: bytes, early: bytes) -> None:
    """All of it goes at once, and does not wait for the collector."""
    bench = Bench(app)
    ours = (Connection, Exchange, RequestReader, TakenSocket, Upgrade, UpgradeSocket)

    def alive() -> int:
        return sum(isinstance(thing, ours) for thing in gc.get_objects())

    before = alive()
    with bench.connect() as client:
        client.sendall(ask("/ws") + early)
        bench.begin()
        bench.connection.run()
        process_loop.run(lambda: asyncio.sleep(0), Context())  # the loop is done with it, too
        bench.connection.close()
        del bench.connection
        assert client.recv(1000).endswith(sent)
        assert alive() == before
    assert bench.taken == (sent == b"taken")


def test_an_offer_is_taken_once() -> None:
    """Whichever way comes first; the other one is an error, and so is any after the end."""
    bench = Bench(declines)
    with bench.connect() as client:
        client.sendall(ask("/ws"))
        bench.begin()
        upgrade: Any = bench.connection.upgrade
        assert "OFFERED" in repr(upgrade)
        kept = upgrade.make_socket()
        kept.sendall(b"x")
        assert upgrade.is_taken()
        assert upgrade.state is UpgradeState.TAKEN
        upgrade.make_socket().sendall(b"y")  # the same connection
        assert client.recv(10) == b"xy"
        upgrade.end()
        upgrade.end()
        with pytest.raises(OSError, match="Bad file descriptor"):
            kept.send(b"z")
        bench.connection.close()
    assert bench.taken == 1


def test_an_offer_that_is_declined_stays_so() -> None:
    """A program may have kept the socket."""
    bench = Bench(declines)
    with bench.connect() as client:
        client.sendall(ask("/ws"))
        bench.begin()
        upgrade: Any = bench.connection.upgrade
        kept = upgrade.make_socket()
        assert not upgrade.is_taken()
        with pytest.raises(OSError, match="the request was answered"):
            kept.recv(1)
        upgrade.end()
        with pytest.raises(OSError, match="the request was answered"):
            kept.fileno()
        bench.connection.close()
    assert bench.taken == 0


def a_list(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"a", b"b"]


def a_tuple(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return (b"a",)


def nothing(environ: Any, start_response: Any) -> Any:
    start_response("204 No Content", [])
    return []


def pieces(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    yield b"a"
    yield b"b"


def written(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])(b"written")
    return [b"more"]


def a_file(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))


def too_long(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Length", "1")])
    return [b"abc"]


def without_a_head(environ: Any, start_response: Any) -> Any:
    return [b"x"]


@pytest.mark.parametrize(
    "app", [a_list, a_tuple, nothing, pieces, written, a_file, too_long, without_a_head, fails]
)
def test_an_answer_in_http_is_the_same(app: Any, quiet: None) -> None:
    """Byte for byte: nobody sees that the request could have left HTTP."""

    def answer(data: bytes) -> tuple[bytes, ConnectionState]:
        bench = Bench(app)
        bench.server_context.writer.refresh(0.0)
        with bench.connect() as client:
            client.sendall(data)
            if not bench.connection.receive():
                bench.connection.offer_upgrade(lambda: None)
            bench.connection.run()
            while bench.connection.paused is not None:
                if bench.connection.flush():
                    bench.connection.run()
            state = bench.connection.state
            bench.connection.close()
            return b"".join(iter(lambda: client.recv(65536), b"")), state

    plain = b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n"
    assert answer(ask("/ws")) == answer(plain)
