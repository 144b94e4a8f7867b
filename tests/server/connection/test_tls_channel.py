"""`TlsChannel`: what a connection uses of a socket, over TLS."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from certificates import Certificates
from dewar.server.connection.tls_channel import TRANSITIONS, ChannelState, TlsChannel
from dewar.server.errors import ServerStateError
from tlstools import FarEnd, Straw

SIZE = 65536


class SocketContract:
    """What `Connection` counts on, of a socket and of a channel alike.

    A subclass gives ``ours``, the non-blocking end, and ``theirs``, the client's.
    """

    def test_nothing_to_read_is_said_so(self, ours: Any, theirs: Any) -> None:
        """Rather than waited for."""
        with pytest.raises(BlockingIOError):
            ours.recv(SIZE)

    def test_what_was_sent_is_received(self, ours: Any, theirs: Any) -> None:
        """Both ways, in order."""
        theirs.sendall(b"hello")
        wait_readable(ours)
        assert ours.recv(SIZE) == b"hello"
        assert ours.send(b"world") == 5
        assert theirs.recv(SIZE) == b"world"
        assert ours.send(memoryview(b"again")[1:]) == 4
        assert theirs.recv(SIZE) == b"gain"

    def test_sending_stops_where_the_other_side_does_not_read(self, ours: Any, theirs: Any) -> None:
        """Something is taken, then nothing; offered again, all of it arrives once."""
        data = memoryview(bytes(range(256)) * 40000)
        sent = ours.send(data)
        while sent < len(data):
            try:
                sent += ours.send(data[sent:])
            except BlockingIOError:
                break
        assert 0 < sent < len(data)
        arrived = bytearray()
        reader = threading.Thread(target=lambda: read_all(theirs, arrived))
        reader.start()
        while sent < len(data):
            with suppress(BlockingIOError):
                sent += ours.send(data[sent:])
        ours.shutdown(socket.SHUT_WR)
        reader.join(10)
        assert arrived == data

    def test_nothing_can_be_sent(self, ours: Any, theirs: Any) -> None:
        """An empty piece is no reason to wait."""
        assert ours.send(b"") == 0

    def test_the_end_is_an_empty_piece(self, ours: Any, theirs: Any) -> None:
        """Again and again."""
        theirs.close()
        wait_readable(ours)
        assert ours.recv(SIZE) == b""
        assert ours.recv(SIZE) == b""

    def test_shutting_our_side_leaves_the_other_open(self, ours: Any, theirs: Any) -> None:
        """The client reads the end; what it still sends is taken in."""
        ours.shutdown(socket.SHUT_WR)
        assert theirs.recv(SIZE) == b""
        with suppress(ssl.SSLError):
            theirs.sendall(b"late")
        theirs.close()
        wait_readable(ours)
        while ours.recv(SIZE):
            pass

    def test_closing_closes(self, ours: Any, theirs: Any) -> None:
        """The number is free again, and the client reads the end."""
        ours.close()
        assert ours.fileno() == -1
        assert theirs.recv(SIZE) == b""


def wait_readable(end: Any) -> None:
    import select

    assert select.select([end], [], [], 5)[0], "nothing came"


def read_all(end: Any, into: bytearray) -> None:
    while piece := end.recv(SIZE):
        into += piece


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), timeout=10)
        ours, _ = listener.accept()
    ours.setblocking(False)
    return ours, theirs


class TestSocket(SocketContract):
    """A plain socket, so that the contract is known to be one."""

    @pytest.fixture
    def ends(self) -> Iterator[Any]:
        ours, theirs = connected()
        yield ours, theirs
        ours.close()
        theirs.close()

    @pytest.fixture
    def ours(self, ends: Any) -> Any:
        return ends[0]

    @pytest.fixture
    def theirs(self, ends: Any) -> Any:
        return ends[1]


class TestTls13(TestSocket):
    """A channel, its client in TLS 1.3."""

    version = ssl.TLSVersion.TLSv1_3

    @pytest.fixture
    def ends(self, certificates: Certificates) -> Iterator[Any]:
        plain, other = connected()
        ours = TlsChannel(plain, certificates.server())
        context = certificates.client()
        context.maximum_version = self.version
        made: list[ssl.SSLSocket] = []
        client = threading.Thread(
            target=lambda: made.append(context.wrap_socket(other, server_hostname="localhost"))
        )
        client.start()
        while ours.state is not ChannelState.ESTABLISHED:
            wait_readable(ours)
            ours.feed(plain.recv(SIZE))
            ours.handshake()
        client.join(5)
        ours.send(b"!")  # after the session tickets; unread, they would make a close a reset
        made[0].recv(1)
        yield ours, made[0]
        ours.close()
        made[0].close()


class TestTls12(TestTls13):
    """The same in TLS 1.2."""

    version = ssl.TLSVersion.TLSv1_2


class Bench:
    """A channel on a straw socket, and a client in memory."""

    def __init__(self, certificates: Certificates, gives: int = SIZE) -> None:
        self.straw = Straw()
        self.straw.gives = gives
        self.channel = TlsChannel(self.straw, certificates.server())  # type: ignore[arg-type]
        self._far_end = FarEnd(self.straw, certificates.client())
        self.client = self._far_end.tls
        self.exchange = self._far_end.exchange

    def shake_hands(self) -> None:
        """Until both have done it."""
        while self.channel.state is not ChannelState.ESTABLISHED:
            with suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.exchange()
            while self.straw.incoming:
                self.channel.feed(self.straw.recv(SIZE))
                self.channel.handshake()
        self.exchange()

    def say(self, data: bytes) -> None:
        """Have the client send *data*."""
        self.client.write(data)
        self.exchange()


def received(channel: TlsChannel) -> bytes:
    """Read until nothing is there."""
    data = b""
    with suppress(BlockingIOError):
        while piece := channel.recv(SIZE):
            data += piece
    return data


def test_a_record_may_come_byte_by_byte(certificates: Certificates) -> None:
    """From the first byte of the handshake on."""
    bench = Bench(certificates, gives=1)
    bench.shake_hands()
    bench.say(b"hello")
    seen = []
    while bench.straw.incoming:
        with suppress(BlockingIOError):
            seen.append(bench.channel.recv(SIZE))
    assert seen == [b"hello"]


def test_nothing_that_can_be_read_is_left_inside(certificates: Certificates) -> None:
    """A poller sees the socket alone: one read gives all records that have come."""
    bench = Bench(certificates)
    bench.shake_hands()
    for number in range(50):
        bench.say(b"%02d" % number)
    assert bench.channel.recv(SIZE) == b"".join(b"%02d" % number for number in range(50))
    assert not bench.straw.incoming
    with pytest.raises(BlockingIOError):
        bench.channel.recv(SIZE)


def test_the_first_request_may_come_with_the_end_of_the_handshake(
    certificates: Certificates,
) -> None:
    """In TLS 1.3 it usually does; it is there without another read of the socket."""
    bench = Bench(certificates)
    with suppress(ssl.SSLWantReadError):
        bench.client.do_handshake()
    bench.exchange()
    bench.channel.feed(bench.straw.recv(SIZE))
    assert not bench.channel.handshake()
    bench.exchange()
    bench.client.do_handshake()
    bench.say(b"hello")
    bench.channel.feed(bench.straw.recv(SIZE))
    assert bench.channel.handshake()
    assert bench.channel.take(SIZE) == b"hello"
    with pytest.raises(BlockingIOError):
        bench.channel.take(SIZE)


def test_a_handshake_that_is_not_taken_waits_in_the_channel(certificates: Certificates) -> None:
    """And goes out later, in order."""
    bench = Bench(certificates)
    bench.straw.takes = 10
    with suppress(ssl.SSLWantReadError):
        bench.client.do_handshake()
    bench.exchange()
    bench.channel.feed(bench.straw.recv(SIZE))
    assert not bench.channel.handshake()
    assert bench.channel.has_backlog()
    assert not bench.channel.push()
    bench.straw.takes = None
    assert bench.channel.push()
    assert not bench.channel.has_backlog()
    bench.shake_hands()


def test_what_is_offered_again_goes_out_once(certificates: Certificates) -> None:
    """However little the socket takes at a time."""
    bench = Bench(certificates)
    bench.shake_hands()
    data = bytes(range(256)) * 1000
    sent = 0
    while sent < len(data):
        bench.straw.takes = 7001
        with suppress(BlockingIOError):
            sent += bench.channel.send(data[sent:])
    bench.exchange()
    arrived = b""
    while len(arrived) < len(data):
        arrived += bench.client.read(SIZE)
    assert arrived == data


def test_a_goodbye_without_the_end_of_the_connection_is_an_end(certificates: Certificates) -> None:
    """What came before it is given first; then the socket is made to report once more."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.client.write(b"last")
    with suppress(ssl.SSLWantReadError):
        bench.client.unwrap()
    bench.exchange()
    assert bench.channel.recv(SIZE) == b"last"
    assert bench.straw.shut == [socket.SHUT_RD]
    bench.straw.has_ended = True
    assert bench.channel.recv(SIZE) == b""
    assert bench.channel.send(b"answer") == 6, "the client has only ended its own side"


def test_an_end_without_a_goodbye_is_an_end(certificates: Certificates) -> None:
    """HTTP tells where a message ends; a cut connection is not taken for more than that."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.say(b"last")
    bench.straw.has_ended = True
    assert bench.channel.recv(SIZE) == b"last"
    assert bench.channel.recv(SIZE) == b""


def test_a_goodbye_is_said_before_closing(certificates: Certificates) -> None:
    """Once; the client reads a clean end."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.channel.send(b"bye")
    bench.channel.shutdown(socket.SHUT_WR)
    bench.channel.close()
    bench.exchange()
    assert bench.client.read(SIZE) == b"bye"
    assert bench.client.read(SIZE) == b""
    assert bench.straw.is_closed


@pytest.mark.parametrize("takes", [0, 100])
def test_a_goodbye_is_never_waited_for(certificates: Certificates, takes: int) -> None:
    """Nor said after a part of a response: the client must not take it for the whole."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.straw.takes = takes
    with pytest.raises(BlockingIOError):
        bench.channel.send(b"x" * 1000)
    bench.straw.takes = None
    bench.channel.close()
    bench.exchange()
    assert bench.straw.is_closed
    with pytest.raises(ssl.SSLWantReadError):
        bench.client.read(SIZE)


def test_before_a_reset_no_goodbye_is_said(certificates: Certificates) -> None:
    """It would make a part of a response the whole."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    bench.channel.close()
    assert bench.straw.options == [(socket.SOL_SOCKET, socket.SO_LINGER)]
    assert not bench.straw.sent


def test_cutting_touches_the_socket_alone(certificates: Certificates) -> None:
    """Another thread may be inside TLS meanwhile."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.channel.shutdown(socket.SHUT_RDWR)
    assert bench.straw.shut == [socket.SHUT_RDWR]
    assert not bench.straw.sent


def test_after_our_end_what_comes_is_thrown_away_unread(certificates: Certificates) -> None:
    """It is not decrypted any more."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.channel.shutdown(socket.SHUT_WR)
    bench.straw.incoming += b"garbage"
    assert bench.channel.recv(SIZE)
    bench.straw.has_ended = True
    assert bench.channel.recv(SIZE) == b""


@pytest.mark.parametrize(
    "garbage", [b"\x17\x03\x03\x00\x20" + b"x" * 32, b"GET / HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_record_breaks_the_connection(
    certificates: Certificates, garbage: bytes
) -> None:
    """As a socket's own fault would."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.straw.incoming += garbage
    with pytest.raises(OSError, match="SSL"):
        bench.channel.recv(SIZE)
    bench.exchange()
    with pytest.raises(ssl.SSLError, match="alert"):
        bench.client.read(SIZE)


def test_what_came_before_a_fault_is_given(certificates: Certificates) -> None:
    """Then it is the end, of which the socket is made to tell."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.say(b"good")
    bench.straw.incoming += b"GET / HTTP/1.1\r\n\r\n"
    assert bench.channel.recv(SIZE) == b"good"
    assert bench.straw.shut == [socket.SHUT_RD]
    bench.straw.has_ended = True
    assert bench.channel.recv(SIZE) == b""


def test_a_failed_handshake_tells_why(certificates: Certificates) -> None:
    """To us with an error, to the client with an alert."""
    bench = Bench(certificates)
    bench.channel.feed(b"\x16\x03\x01\x00\x05hello")
    with pytest.raises(ssl.SSLError):
        bench.channel.handshake()
    assert bench.straw.sent[:1] == b"\x15", "an alert"
    bench.channel.close()


def test_what_tls_itself_has_to_say_is_bounded(certificates: Certificates) -> None:
    """A client that makes us write and does not read is left."""
    bench = Bench(certificates)
    bench.shake_hands()
    bench.straw.takes = 0
    bench.channel.tls.write(bytes(1000))
    bench.say(b"hello")
    assert bench.channel.recv(SIZE) == b"hello"
    bench.channel.tls.write(bytes(100_000))
    bench.say(b"hello")
    with pytest.raises(ConnectionAbortedError):
        bench.channel.recv(SIZE)


def test_a_channel_tells_what_it_is(certificates: Certificates) -> None:
    """For whoever looks at it in a debugger."""
    bench = Bench(certificates)
    assert repr(bench.channel) == "<TlsChannel 9999 in its handshake, 0 bytes wait>"
    bench.shake_hands()
    assert repr(bench.channel) == "<TlsChannel 9999 established, 0 bytes wait>"


def test_the_table_of_states_is_complete() -> None:
    """Every state can be reached from the handshake; nothing mends what is broken."""
    assert set(TRANSITIONS) == set(ChannelState)
    assert TRANSITIONS[ChannelState.BROKEN] == frozenset()
    reached = {ChannelState.HANDSHAKE}
    while more := {after for state in reached for after in TRANSITIONS[state]} - reached:
        reached |= more
    assert reached == set(ChannelState)


@pytest.mark.parametrize("after", ChannelState)
@pytest.mark.parametrize("before", ChannelState)
def test_no_state_follows_another_unless_the_table_says_so(
    certificates: Certificates, before: ChannelState, after: ChannelState
) -> None:
    """To stay as it is, is always allowed; what is illegal changes nothing."""
    channel = Bench(certificates).channel
    channel.state = before
    if after is before or after in TRANSITIONS[before]:
        channel._move(after)
        assert channel.state is after
    else:
        with pytest.raises(ServerStateError, match=f"cannot become {after.name}"):
            channel._move(after)
        assert channel.state is before


def in_state(certificates: Certificates, state: ChannelState) -> Bench:
    """Return a bench whose channel has come to a state by what happened to it."""
    bench = Bench(certificates)
    if state is ChannelState.HANDSHAKE:
        return bench
    bench.shake_hands()
    if state is ChannelState.HALF_CLOSED:
        with suppress(ssl.SSLWantReadError):
            bench.client.unwrap()
        bench.exchange()
        assert bench.channel.recv(SIZE) == b""
    elif state is ChannelState.SHUT:
        bench.channel.shutdown(socket.SHUT_WR)
    elif state is ChannelState.BROKEN:
        bench.straw.incoming += b"GET / HTTP/1.1\r\n\r\n"
        with pytest.raises(OSError, match="SSL"):
            bench.channel.recv(SIZE)
    return bench


@pytest.mark.parametrize("state", ChannelState)
def test_what_happens_to_a_channel_leads_to_its_state(
    certificates: Certificates, state: ChannelState
) -> None:
    """And closing says goodbye only where the client may take what it has for whole."""
    bench = in_state(certificates, state)
    assert bench.channel.state is state
    assert state.value in repr(bench.channel)
    bench.straw.sent.clear()
    bench.channel.close()
    says_goodbye = {ChannelState.ESTABLISHED, ChannelState.HALF_CLOSED}
    assert bool(bench.straw.sent) is (state in says_goodbye)
