"""`Connection`: one client, with a socket of straw and a clock of our own."""

import gc
import logging
import socket
from typing import Any

import pytest

from dewar.server.connection.connection import Connection
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import TRANSITIONS, ConnectionState
from dewar.server.errors import Refusal, ServerStateError
from dewar.server.settings.settings import Settings
from dewar.server.wire.errors import UNAVAILABLE
from dewar.server.wire.reader import RequestReader


class Straw:
    """A socket that gives what it was told to and takes as much as it may."""

    def __init__(self) -> None:
        self.incoming: list[bytes | OSError] = []
        self.sent = b""
        self.takes: int | None = None
        self.is_shut = self.is_closed = self.is_gone = False

    def fileno(self) -> int:
        """Return a number that no real descriptor has."""
        return 9999

    def recv(self, size: int) -> bytes:
        """Give the next piece."""
        if not self.incoming:
            raise BlockingIOError
        piece = self.incoming.pop(0)
        if isinstance(piece, OSError):
            raise piece
        return piece

    def send(self, data: Any) -> int:
        """Take what may be taken."""
        if self.is_gone:
            raise BrokenPipeError
        count = len(data) if self.takes is None else min(self.takes, len(data))
        if not count and len(data):
            raise BlockingIOError
        if self.takes is not None:
            self.takes -= count
        self.sent += bytes(data[:count])
        return count

    def shutdown(self, how: int) -> None:
        """Shut the writing side."""
        if how != socket.SHUT_WR:
            raise ValueError(how)
        self.is_shut = True

    def close(self) -> None:
        """Close."""
        self.is_closed = True


class Bench:
    """A connection with its straw socket and clock."""

    def __init__(self, app: Any = None, **settings: Any) -> None:
        self.now = 1000.0
        self.server_context = ServerContext(app or hello, Settings(**settings), lambda: self.now)
        self.sock = Straw()
        self.connection = Connection(self.server_context, self.sock, {})  # type: ignore[arg-type]

    def receive(self, *pieces: bytes | OSError) -> bool:
        """Let the pieces come one by one; tell whether a request is complete."""
        ready = False
        for piece in pieces:
            self.sock.incoming.append(piece)
            ready = self.connection.receive()
        return ready

    def later(self, seconds: float) -> ConnectionState:
        """Let time go by, look at the deadlines, and return the state."""
        self.now += seconds
        self.server_context.now = self.now
        self.connection.expire(self.now)
        return self.connection.state


def hello(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b"hello"]


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_every_state_can_be_left_except_the_last() -> None:
    """The table is complete, and nothing comes back from the dead."""
    assert set(TRANSITIONS) == set(ConnectionState)
    assert TRANSITIONS[ConnectionState.CLOSED] == frozenset()
    for state, following in TRANSITIONS.items():
        assert state not in following
        assert state is ConnectionState.CLOSED or ConnectionState.CLOSED in following


def test_a_move_that_is_not_in_the_table_is_a_mistake_of_ours() -> None:
    """It is named, and not made."""
    bench = Bench()
    bench.receive(b"")
    with pytest.raises(ServerStateError, match="cannot become HEAD"):
        bench.connection._move(ConnectionState.HEAD)
    assert bench.connection.state is ConnectionState.CLOSED


def test_a_request_goes_through_its_states() -> None:
    """Idle, head, body, running, idle."""
    bench = Bench()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    assert not bench.receive(head[:10])
    assert bench.connection.state is ConnectionState.HEAD
    assert not bench.receive(head[10:])
    assert bench.connection.state is ConnectionState.BODY
    assert bench.receive(b"ok")
    bench.connection.run()
    assert bench.connection.state is ConnectionState.IDLE
    assert bench.sock.sent.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize("end", [b"", ConnectionResetError()])
def test_a_client_that_hangs_up_is_closed(end: Any) -> None:
    """Politely or not."""
    bench = Bench()
    assert not bench.receive(end)
    assert bench.connection.state is ConnectionState.CLOSED


def test_a_stale_event_changes_nothing() -> None:
    """There was nothing to read after all."""
    bench = Bench()
    assert not bench.connection.receive()
    assert bench.connection.state is ConnectionState.IDLE


@pytest.mark.parametrize(
    ("begun", "deadline", "says"),
    [
        (b"GET / HT", "header_timeout", b"408"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na", "body_timeout", b"408"),
        (b"", "header_timeout", b""),
    ],
)
def test_each_deadline_is_kept_to(begun: bytes, deadline: str, says: bytes) -> None:
    """Nothing happens before it, and the end comes after it."""
    bench = Bench(**{deadline: 20.0})
    if begun:
        bench.receive(begun)
    state = bench.connection.state
    assert bench.later(19) is state
    bench.later(2)
    assert bench.connection.state in (ConnectionState.LINGERING, ConnectionState.CLOSED)
    assert bench.sock.sent[9:12] == says


def test_more_bytes_of_a_head_do_not_move_its_deadline() -> None:
    """A client cannot buy time letter by letter."""
    bench = Bench(header_timeout=15.0)
    bench.receive(b"GET / HTTP/1.1\r\n")
    for letter in b"X: slow":
        assert not bench.receive(bytes([letter]))
        bench.later(2)
    bench.later(2)
    assert bench.sock.sent.startswith(b"HTTP/1.1 408")


def test_an_idle_connection_has_its_own_deadline() -> None:
    """Longer than that of one that never asked anything."""
    bench = Bench(header_timeout=15.0, keep_alive=75.0)
    bench.receive(GET)
    bench.connection.run()
    assert bench.later(1) is ConnectionState.IDLE
    assert bench.later(70) is ConnectionState.IDLE
    assert bench.later(6) is ConnectionState.CLOSED


def test_a_refusal_waits_for_the_client_to_see_it() -> None:
    """Our side is shut; what still comes is thrown away; after two seconds it is over."""
    bench = Bench()
    bench.receive(b"NONSENSE\r\n\r\n")
    assert bench.connection.state is ConnectionState.LINGERING
    assert bench.sock.is_shut
    assert bench.sock.sent.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert not bench.receive(GET)
    assert bench.later(1) is ConnectionState.LINGERING
    assert bench.later(2) is ConnectionState.CLOSED


def test_a_client_that_is_still_sending_gets_longer_to_see_a_refusal() -> None:
    """It may look only after its whole body; it must keep its rate, and there is an end."""
    bench = Bench(max_body=10, min_rate=500)
    bench.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(30):
        assert not bench.receive(bytes(1000))
        assert bench.later(1) is ConnectionState.LINGERING
    bench.receive(bytes(1000))
    assert bench.later(1) is ConnectionState.CLOSED
    bench = Bench(max_body=10, min_rate=500)
    bench.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
    bench.receive(bytes(100))
    assert bench.later(2) is ConnectionState.LINGERING
    bench.receive(bytes(100))
    assert bench.later(1) is ConnectionState.CLOSED


@pytest.mark.parametrize(("pause", "status"), [(0.0, b"200"), (20.0, b"408")])
def test_a_body_that_is_read_in_small_pieces_has_one_deadline(pause: float, status: bytes) -> None:
    """The rate counts over all reads; the time that the application takes does not."""

    def app(environ: Any, start_response: Any) -> Any:
        while environ["wsgi.input"].read(1):
            bench.now += 60
        start_response("200 OK", [])
        return [b"whole"]

    bench = Bench(app, body_timeout=30, min_rate=500)
    receive = bench.sock.recv

    def recv(size: int) -> bytes:
        bench.now += pause
        return receive(size)

    bench.sock.recv = recv  # type: ignore[method-assign]
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    assert bench.receive(head)
    bench.sock.incoming += [b"x"] * 9
    bench.connection.run()
    assert bench.sock.sent.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 " + status)


def body_of(bench: Bench, size: int) -> bytes:
    """Begin with a request whose body has a size; return what its reads give, 64 KiB at first."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    assert not bench.receive(head)
    return b"x" * 65536


def test_a_large_body_is_received_as_far_as_it_has_arrived() -> None:
    """One event is enough for it, and what comes behind it is the next request."""
    bench = Bench(lambda environ, start: [start("200 OK", []), environ["wsgi.input"].read()][1:])
    first = body_of(bench, 500_000)
    rest = b"y" * (500_000 - len(first))
    bench.sock.incoming = [first, rest[:262144], rest[262144:] + b"GET /2 HTTP/1.1\r\nHost: x\r\n"]
    assert bench.connection.receive()
    bench.connection.run()
    assert bench.sock.sent.endswith(first + rest)
    assert bench.connection.state is ConnectionState.HEAD
    assert bench.receive(b"\r\n")


def test_a_large_body_lets_others_have_their_turn() -> None:
    """After a mebibyte, though more has arrived."""
    bench = Bench(max_body=None)
    bench.sock.incoming = [body_of(bench, 100_000_000), *[bytes(262144)] * 10]
    assert not bench.connection.receive()
    assert len(bench.sock.incoming) == 6
    assert bench.connection.state is ConnectionState.BODY
    bench.connection.close()


@pytest.mark.parametrize("end", [b"", ConnectionResetError()])
def test_a_client_that_hangs_up_in_a_large_body_is_closed(end: Any) -> None:
    """At the next event, which the end causes again."""
    bench = Bench()
    bench.sock.incoming = [body_of(bench, 500_000), bytes(100), end]
    assert not bench.connection.receive()
    assert bench.connection.state is ConnectionState.BODY
    assert not bench.receive(b"")
    assert bench.connection.state is ConnectionState.CLOSED
    bench.connection.close()


def test_a_large_body_that_is_refused_is_read_no_further() -> None:
    """A chunk that is none, among what has arrived."""
    bench = Bench()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert not bench.receive(head)
    chunk = b"%x\r\n" % (65536 - 8) + bytes(65536 - 8) + b"\r\n"
    bench.sock.incoming = [chunk, b"nonsense\r\n", b"more"]
    assert len(chunk) == 65536
    assert not bench.connection.receive()
    assert bench.sock.sent.startswith(b"HTTP/1.1 400 ")
    assert bench.sock.incoming == [b"more"]
    assert bench.connection.state is ConnectionState.LINGERING


def test_all_that_is_received_of_a_large_body_counts_for_its_rate() -> None:
    """A client that is fast is not taken for a slow one."""
    bench = Bench(body_timeout=10.0, min_rate=20_000)
    bench.sock.incoming = [body_of(bench, 10_000_000), *[bytes(262144)] * 3]
    bench.connection.receive()
    for _ in range(6):
        bench.receive(b"x")  # 850 KB in the 40 seconds that count, and not 65
        assert bench.later(8.0) is ConnectionState.BODY
    bench.connection.close()


def test_a_client_for_whom_there_is_no_place_gets_no_longer() -> None:
    """Others need it."""
    bench = Bench()
    bench.connection.reject(Refusal("503 Service Unavailable", "Later."))
    for _ in range(2):
        bench.receive(bytes(10_000))
        assert bench.later(1) is ConnectionState.LINGERING
    bench.receive(bytes(10_000))
    assert bench.later(1) is ConnectionState.CLOSED


def test_a_run_answers_one_request_and_the_next_waits_for_its_turn() -> None:
    """As long as there is another one; the end of the input comes after all of them."""
    bench = Bench()
    assert bench.receive(GET * 3)
    for number in range(1, 4):
        bench.connection.run()
        assert bench.sock.sent.count(b"hello") == number
        if number < 3:
            assert bench.connection.state is ConnectionState.READY
            assert bench.receive(b""), "a stale event does not end it"
    assert bench.connection.state is ConnectionState.IDLE
    bench.receive(b"")
    assert bench.connection.state is ConnectionState.CLOSED


def test_half_a_head_behind_a_request_has_the_time_of_a_head() -> None:
    """From when it is its turn, and not from when its bytes came."""
    bench = Bench(header_timeout=15.0)
    bench.receive(GET + GET + b"GET / HT")
    bench.connection.run()
    assert bench.later(20) is ConnectionState.READY
    bench.connection.run()
    assert bench.connection.state is ConnectionState.HEAD
    assert bench.later(14) is ConnectionState.HEAD
    assert bench.later(2) is ConnectionState.LINGERING
    assert b"408 Request Timeout" in bench.sock.sent


def test_a_connection_whose_turn_never_comes_is_given_up() -> None:
    """At the write deadline, not as an idle one: its socket takes no response."""
    bench = Bench(keep_alive=1.0, header_timeout=1.0, write_timeout=30.0)
    bench.receive(GET + GET)
    bench.connection.run()
    assert bench.later(29) is ConnectionState.READY
    assert bench.later(2) is ConnectionState.CLOSED


def test_a_refusal_in_the_line_is_the_last_answer() -> None:
    """Of all the requests that wait behind it too."""
    bench = Bench()
    bench.receive(GET * 5)
    bench.connection.run()
    bench.connection.reject(Refusal(UNAVAILABLE, "Too many wait."))
    assert bench.connection.state is ConnectionState.LINGERING
    assert not bench.receive(GET * 5)
    assert bench.sock.sent.count(b"HTTP/1.1 ") == 2
    assert bench.sock.sent.count(b"503 Service Unavailable") == 1


def test_when_the_server_stops_the_next_answer_is_the_last() -> None:
    """It says so, although more requests wait."""
    bench = Bench()
    bench.receive(GET * 5)
    bench.connection.run()
    bench.server_context.begin_draining()
    bench.connection.close_if_idle(bench.now, 0.0)
    assert bench.connection.state is ConnectionState.READY
    bench.connection.run()
    assert bench.connection.state is ConnectionState.LINGERING
    assert bench.sock.sent.count(b"hello") == 2
    assert bench.sock.sent.count(b"Connection: close") == 1


def test_what_the_client_does_not_take_waits_and_goes_out_later() -> None:
    """The next request is answered only then."""
    bench = Bench()
    bench.sock.takes = 30
    bench.receive(GET + GET)
    bench.connection.run()
    assert bench.connection.state is ConnectionState.FLUSHING
    assert len(bench.sock.sent) == 30
    bench.sock.takes = None
    assert bench.connection.flush(), "the second request is ready to run"
    bench.connection.run()
    assert bench.sock.sent.count(b"hello") == 2
    assert bench.connection.state is ConnectionState.IDLE


def test_a_client_that_takes_nothing_is_given_up() -> None:
    """At the write deadline."""
    bench = Bench(write_timeout=30.0)
    bench.sock.takes = 10
    bench.receive(GET)
    bench.connection.run()
    assert bench.later(29) is ConnectionState.FLUSHING
    assert bench.later(2) is ConnectionState.CLOSED


def test_a_client_that_is_gone_costs_a_line_of_debugging_at_most(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is nobody's mistake."""
    bench = Bench()
    bench.sock.is_gone = True
    bench.receive(GET)
    with caplog.at_level(logging.INFO):
        bench.connection.run()
    assert bench.connection.state is ConnectionState.CLOSED
    assert caplog.records == []


def test_a_connection_tells_what_it_is() -> None:
    """For whoever looks at it in a debugger."""
    bench = Bench()
    bench.receive(GET)
    bench.connection.run()
    assert repr(bench.connection) == "<Connection 9999 IDLE, 1 served>"
    bench.connection.close()
    assert bench.sock.is_closed


KINDS = {
    "plain": GET,
    "body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
    "chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1\r\na\r\n0\r\n\r\n",
    "continue body": b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    b"Content-Length: 2\r\n\r\n",
    "closing": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "half": b"GET / HT",
    "malformed": b"nonsense\r\n\r\n",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", [False, True])
def test_a_closed_connection_leaves_no_garbage(kind: str, fails: bool) -> None:
    """It goes at once, and does not wait for the collector, which would come after thousands."""

    def app(environ: Any, start_response: Any) -> Any:
        if fails:
            raise ZeroDivisionError
        start_response("200 OK", [])
        return iter([b"a", b"b"])

    def alive() -> int:
        ours = (Connection, RequestReader, Exchange)
        return sum(isinstance(thing, ours) for thing in gc.get_objects())

    bench = Bench(app)
    del bench.connection
    gc.collect()
    gc.disable()
    logging.getLogger("dewar.server").disabled = True
    try:
        before = alive()
        bench.connection = Connection(bench.server_context, bench.sock, {})  # type: ignore[arg-type]
        if bench.receive(KINDS[kind]):
            bench.connection.run()
        bench.connection.close()
        del bench.connection
        assert alive() == before
    finally:
        gc.enable()
        logging.getLogger("dewar.server").disabled = False
