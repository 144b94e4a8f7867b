"""A response that goes on when its client has taken what waits, with a socket of straw."""

import socket
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from tests.server.connection.test_connection import GET, Bench, Straw

from dewar.server.connection.piecewise_body import PART
from dewar.server.connection.state import ConnectionState

PIECE = b"x" * 50_000
USER: ContextVar[str] = ContextVar("USER", default="nobody")


class Body:
    """A body of many pieces that notes what happens to it."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.left = count
        self.fails_at = fails_at
        self.given = 0
        self.events: list[str] = []
        self.threads: set[int] = set()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.threads.add(threading.get_ident())
        self.events.append(USER.get())
        if self.given == self.fails_at:
            raise OSError("the disk is broken")
        if not self.left:
            raise StopIteration
        self.left -= 1
        self.given += 1
        return PIECE

    def close(self) -> None:
        """Note it."""
        self.events.append(f"closed for {USER.get()}")


class Slow(Bench):
    """A connection whose client takes only what the test says."""

    def __init__(self, body: Any, head: list[tuple[str, str]] | None = None, **kw: Any) -> None:
        self.body = body
        self.fields = head or []
        self.requests = 0
        super().__init__(self.answer, **kw)
        self.sock: Any = CutStraw()
        self.connection.sock = self.sock
        self.connection._recv, self.connection._send = self.sock.recv, self.sock.send
        self.sock.takes = 0

    def answer(self, environ: Any, start_response: Any) -> Any:
        """Answer the first request with the body, others with a word."""
        USER.set("alice")
        self.requests += 1
        start_response("200 OK", self.fields)
        return self.body if self.requests == 1 else [b"next"]

    def begin(self, request: bytes = GET) -> None:
        """Receive a request and run it."""
        assert self.receive(request)
        self.connection.run()

    def take(self, count: int | None) -> bool:
        """Take some more; return whether the rest is to be run."""
        self.sock.takes = count
        return self.connection.flush()

    def take_all(self) -> None:
        """Be a client again that takes whatever comes."""
        self.sock.takes = None
        connection, is_ready = self.connection, False
        while is_ready or connection.state is ConnectionState.FLUSHING:
            if is_ready or connection.flush():
                connection.run()
            is_ready = connection.state is ConnectionState.READY


class CutStraw(Straw):
    """A socket that can be shut down for both directions."""

    def shutdown(self, how: int) -> None:
        """Have the next use fail."""
        if how == socket.SHUT_RDWR:
            self.is_gone = True
        else:
            super().shutdown(how)

    def setsockopt(self, *args: Any) -> None:
        """Note a reset."""
        self.is_reset = True


def closed(body: Body) -> int:
    """Return how often *body* was closed."""
    return sum(event.startswith("closed") for event in body.events)


def test_a_slow_client_gets_a_few_pieces_and_the_thread_is_free() -> None:
    """The rest is asked for when the client has taken them."""
    bench = Slow(Body(100))
    bench.begin()
    assert bench.connection.state is ConnectionState.FLUSHING
    assert bench.body.given == 2  # the first is below the high-water mark
    assert not bench.take(60_000)
    assert bench.body.given == 2
    assert bench.take(60_000)
    assert bench.body.given == 2
    bench.sock.takes = 0
    bench.connection.run()
    assert (bench.body.given, closed(bench.body)) == (4, 0)
    bench.take_all()
    assert bench.connection.state is ConnectionState.IDLE
    assert bench.sock.sent.count(PIECE) == 100
    assert bench.sock.sent.endswith(b"\r\n0\r\n\r\n")


def test_little_waits_for_a_slow_client_however_large_the_body() -> None:
    """The high-water mark, and one piece."""
    bench = Slow(Body(1000))
    bench.begin()
    for _ in range(50):
        size = bench.connection._write_buffer.size
        assert size <= bench.server_context.settings.high_water + len(PIECE) + 100
        assert bench.take(size)
        bench.sock.takes = 0
        bench.connection.run()


def test_all_of_it_runs_in_the_context_of_the_request() -> None:
    """Each piece, and the close, which comes once and last."""
    bench = Slow(Body(10))
    bench.begin()
    bench.take_all()
    assert bench.body.events == ["alice"] * 11 + ["closed for alice"]


def test_other_threads_may_go_on() -> None:
    """Each time another one."""
    bench = Slow(Body(10))
    bench.begin()
    bench.sock.takes = None
    threads = []
    while bench.connection.flush():
        thread = threading.Thread(target=bench.connection.run)
        thread.start()
        threads.append(thread)  # kept, so that no ident is used again
        thread.join()
    assert bench.body.threads >= {thread.ident for thread in threads}
    assert bench.sock.sent.count(PIECE) == 10


def test_a_pipelined_request_is_answered_after_it() -> None:
    """In order, and not before the end."""
    bench = Slow(Body(10))
    bench.begin(GET + GET)
    assert bench.requests == 1
    bench.take_all()
    assert bench.requests == 2
    assert bench.sock.sent.endswith(b"next")
    assert bench.sock.sent.index(b"0\r\n\r\nHTTP/1.1") > 10 * len(PIECE)


def test_a_client_that_leaves_ends_it() -> None:
    """The body is closed once, on a thread, and not asked for more."""
    bench = Slow(Body(10))
    bench.begin()
    bench.sock.is_gone = True
    assert bench.connection.flush()
    assert closed(bench.body) == 0
    given = bench.body.given
    bench.connection.run()
    assert bench.connection.state is ConnectionState.CLOSED
    assert (closed(bench.body), bench.body.given) == (1, given)


@pytest.mark.parametrize("wanted", [b"1.1", b"1.0"])
def test_a_client_that_takes_nothing_is_given_up(wanted: bytes) -> None:
    """Its socket is shut, so that the poller reports it; the rest is the same as if it had left."""
    bench = Slow(Body(10), write_timeout=30.0)
    bench.begin(GET.replace(b"1.1", wanted))
    assert bench.later(29.0) is ConnectionState.FLUSHING
    assert not bench.sock.is_gone
    assert bench.later(2.0) is ConnectionState.FLUSHING
    assert bench.sock.is_gone
    assert bench.connection.flush()
    bench.connection.run()
    assert bench.connection.state is ConnectionState.CLOSED
    assert closed(bench.body) == 1
    # Without chunks a normal end would make what came the whole body.
    assert getattr(bench.sock, "is_reset", False) is (wanted == b"1.0")


def test_a_client_below_the_minimum_rate_is_given_up() -> None:
    """However small the pieces are that it takes."""
    bench = Slow(Body(10), write_timeout=30.0, min_rate=500)
    bench.begin()
    for _ in range(60):
        bench.take(10)
        if bench.sock.is_gone:
            break
        bench.later(1.0)
    assert bench.sock.is_gone


def test_a_body_that_fails_on_the_way_ends_the_connection(quiet: None) -> None:
    """It is closed once, and the client sees that something is missing."""
    bench = Slow(Body(10, fails_at=5))
    bench.begin()
    bench.take_all()
    assert bench.connection.state in {ConnectionState.LINGERING, ConnectionState.CLOSED}
    assert closed(bench.body) == 1
    assert bench.sock.sent.count(PIECE) == 5
    assert not bench.sock.sent.endswith(b"0\r\n\r\n")


def test_a_close_that_fails_on_the_way_costs_nothing(quiet: None) -> None:
    """All was sent by then."""

    class Failing(Body):
        def close(self) -> None:
            super().close()
            raise ZeroDivisionError

    bench = Slow(Failing(10))
    bench.begin()
    bench.take_all()
    assert bench.connection.state is ConnectionState.IDLE
    assert closed(bench.body) == 1


def test_a_fast_client_lets_others_pass() -> None:
    """After a turn the connection waits in the poller like any other."""
    bench = Slow(Body(200))
    bench.sock.takes = None
    bench.begin()
    assert bench.connection.state is ConnectionState.FLUSHING
    assert PART <= bench.body.given * len(PIECE) < PART + len(PIECE)
    bench.take_all()
    assert bench.sock.sent.count(PIECE) == 200


def test_a_head_needs_no_more_than_the_first_piece() -> None:
    """Nothing of a large file is read for it."""
    bench = Slow(Body(100), [("Content-Length", str(100 * len(PIECE)))])
    bench.sock.takes = None
    bench.begin(GET.replace(b"GET", b"HEAD"))
    assert (bench.body.given, closed(bench.body)) == (1, 1)
    assert bench.connection.state is ConnectionState.IDLE
    assert bench.sock.sent.endswith(b"\r\n\r\n")


def test_one_large_write_holds_no_thread() -> None:
    """Nothing comes after it, so nothing has to wait."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])(PIECE * 100)
        return []

    bench = Slow([])
    bench.server_context.app = app
    bench.begin()
    assert bench.connection.state is ConnectionState.FLUSHING
    bench.take_all()
    assert bench.sock.sent.count(PIECE) == 100


def test_a_generator_of_one_large_piece_holds_no_thread() -> None:
    """Its last piece waits in the connection, and it has ended."""
    bench = Slow(iter([]))
    bench.body = (piece for piece in [PIECE * 100])
    bench.begin()
    assert bench.body.gi_frame is None
    assert bench.connection.state is ConnectionState.FLUSHING
    bench.take_all()
    assert bench.sock.sent.count(PIECE) == 100
