"""A connection that begins with a PROXY header or TLS, with a socket of straw and our own clock."""

import logging
import socket
import ssl
from typing import Any

import pytest

from certificates import Certificates
from dewar.server.connection.handshake import Handshake, HandshakeConnection
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.proxies.trusted_hosts import TRUSTS_PEER, parse_trusted_hosts
from dewar.server.settings.settings import Settings
from tlstools import FarEnd, Straw

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEADER = b"PROXY TCP4 203.0.113.5 198.51.100.7 1234 443\r\n"


class NamedStraw(Straw):
    """A socket of straw with an address."""

    name: Any = ("::1", 8443, 0, 0)

    def getsockname(self) -> Any:
        """Return our own address."""
        return self.name


class Bench:
    """A connection, its straw socket, its clock, and what the application saw."""

    def __init__(
        self, certificates: Certificates | None = None, proxy: bool = False, **settings: Any
    ) -> None:
        self.now = 1000.0
        self.seen: list[dict[str, Any]] = []
        if certificates is not None:
            settings |= certificates.pair()
        self.server_context = ServerContext(self.app, Settings(**settings), lambda: self.now)
        self.straw = NamedStraw()
        environ = self.server_context.base_environ | {
            "REMOTE_ADDR": "10.0.0.1", "REMOTE_PORT": "9", "SERVER_NAME": "::1",
            "SERVER_PORT": "8443", TRUSTS_PEER: True,
        }  # fmt: skip
        trust = parse_trusted_hosts("10.0.0.0/8") if proxy else None
        handshake = Handshake(environ, trust, self.server_context.tls, self.now)
        self.connection = HandshakeConnection(self.server_context, self.straw, handshake)  # type: ignore[arg-type]
        if certificates is not None:
            self.client = FarEnd(self.straw, certificates.client())

    def app(self, environ: Any, start_response: Any) -> Any:
        self.seen.append(environ)
        start_response("200 OK", [])
        return [b"hello"]

    def receive(self, data: bytes = b"", cut: int = 65536) -> bool:
        """Let *data* come in pieces of *cut* bytes; tell whether a request is complete."""
        self.straw.incoming += data
        self.straw.gives = cut
        ready = False
        while self.straw.incoming and not ready:
            ready = self.connection.receive()
        return ready

    def do_handshake(self, cut: int = 65536) -> None:
        """Do the handshake."""
        done = False
        while not done:
            done = self.client.shake_hands()
            assert not self.receive(cut=cut)

    def later(self, seconds: float) -> ConnectionState:
        """Let time go by, look at the deadlines, and return the state."""
        self.now += seconds
        self.server_context.now = self.now
        self.connection.expire(self.now)
        return self.connection.state


@pytest.mark.parametrize("cut", [1, 7, 65536])
def test_requests_follow_the_handshake(certificates: Certificates, cut: int) -> None:
    """However the bytes are cut; the connection persists."""
    bench = Bench(certificates)
    assert bench.connection.state is ConnectionState.HANDSHAKE
    bench.do_handshake(cut)
    assert bench.connection.state is ConnectionState.IDLE
    for _ in range(2):
        bench.client.say(GET)
        assert bench.receive(cut=cut)
        bench.connection.run()
        assert bench.client.hear().endswith(b"\r\n\r\nhello")
    assert bench.connection.state is ConnectionState.IDLE
    assert bench.seen[1]["wsgi.url_scheme"] == "https"


def test_a_request_that_comes_with_the_handshake_is_found(certificates: Certificates) -> None:
    """There will be no other event for it."""
    bench = Bench(certificates)
    bench.client.shake_hands()
    bench.receive()
    assert bench.client.shake_hands()
    bench.client.say(GET + GET)
    assert bench.receive()
    bench.connection.run()
    assert bench.connection.state is ConnectionState.READY
    bench.connection.run()
    assert bench.client.hear().count(b"hello") == 2


@pytest.mark.parametrize("cut", [1, 7, 65536])
@pytest.mark.parametrize("is_tls", [False, True])
def test_a_proxy_header_comes_before_all(
    certificates: Certificates, is_tls: bool, cut: int
) -> None:
    """Before TLS too; the addresses are those that it tells."""
    bench = Bench(certificates if is_tls else None, proxy=True)
    if is_tls:
        bench.straw.incoming += HEADER
        bench.do_handshake(cut)
        bench.client.say(GET)
        assert bench.receive(cut=cut)
    else:
        assert bench.receive(HEADER + GET, cut)
    bench.connection.run()
    [environ] = bench.seen
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("203.0.113.5", "1234")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("198.51.100.7", "443")
    assert environ["wsgi.url_scheme"] == ("https" if is_tls else "http")
    assert environ[TRUSTS_PEER] is False


def test_a_proxy_that_speaks_for_itself_keeps_its_address() -> None:
    """But what it says in fields may come from anybody."""
    bench = Bench(proxy=True)
    assert bench.receive(b"PROXY UNKNOWN\r\n" + GET)
    bench.connection.run()
    assert bench.seen[0]["REMOTE_ADDR"] == "10.0.0.1"
    assert bench.seen[0][TRUSTS_PEER] is False


def test_a_trusted_host_behind_the_proxy_is_trusted() -> None:
    """It is the sender of the request who counts."""
    bench = Bench(proxy=True)
    assert bench.receive(b"PROXY TCP4 10.0.0.9 10.0.0.1 1 2\r\n" + GET)
    bench.connection.run()
    assert bench.seen[0][TRUSTS_PEER] is True


def test_tls_that_ended_at_the_proxy_counts() -> None:
    """Version 2 can tell of it."""
    bench = Bench(proxy=True)
    tls = b"\x20\x00\x05\x01\x00\x00\x00\x00"
    assert bench.receive(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x14" + bytes(12) + tls + GET)
    bench.connection.run()
    environ = bench.seen[0]
    assert (environ["wsgi.url_scheme"], environ["HTTPS"]) == ("https", "on")


@pytest.mark.parametrize("data", [GET, b"\x16\x03\x01", b"PROXY TCP4 x\r\n"])
def test_without_its_header_a_connection_is_closed(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Without an answer, and with a line for who runs the proxy."""
    bench = Bench(proxy=True)
    assert not bench.receive(data)
    assert bench.connection.state is ConnectionState.CLOSED
    assert bench.straw.sent == b""
    assert "10.0.0.1 is trusted to send a PROXY header" in caplog.text


def test_broken_headers_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Connections of one server say it once, and later how often it happened."""
    bench = Bench(proxy=True)
    for _ in range(20):
        other = Bench(proxy=True)
        other.connection._server_context = bench.server_context
        assert not other.receive(GET)
    assert caplog.text.count("is trusted to send a PROXY header") == 1
    bench.now += 10.0
    bench.server_context.bounded_log.flush()
    assert "(and 18 more since the last such line)" in caplog.text


@pytest.mark.parametrize("end", [b"", b"PROXY", b"\x16"])
def test_a_client_that_hangs_up_meanwhile_is_closed(certificates: Certificates, end: bytes) -> None:
    """At any point of the handshake."""
    bench = Bench(certificates, proxy=end.startswith(b"P"))
    bench.receive(end)
    assert not bench.connection.receive(), "a stale event"
    assert bench.connection.state is ConnectionState.HANDSHAKE
    bench.straw.has_ended = True
    assert not bench.connection.receive()
    assert bench.connection.state is ConnectionState.CLOSED


@pytest.mark.parametrize("begun", [b"", b"\x16\x03"])
def test_a_reset_meanwhile_is_the_same(certificates: Certificates, begun: bytes) -> None:
    """It is the client's end."""
    bench = Bench(certificates)
    bench.receive(begun)

    def reset(size: int) -> bytes:
        raise ConnectionResetError

    bench.straw.recv = reset  # type: ignore[method-assign]
    assert not bench.connection.receive()
    assert bench.connection.state is ConnectionState.CLOSED


@pytest.mark.parametrize("count", [0, 1, 60, 1000])
def test_a_fault_behind_the_handshake_is_the_end(certificates: Certificates, count: int) -> None:
    """Where bytes that are no record come with its last part."""
    bench = Bench(certificates)
    bench.client.shake_hands()
    bench.receive()
    assert bench.client.shake_hands()
    bench.straw.incoming += b"\x17\x03\x03\x00" + bytes([count % 256]) + bytes(count)
    assert not bench.receive()
    assert bench.connection.state is ConnectionState.CLOSED


def test_a_first_request_may_wait_to_be_told_to_go_on(certificates: Certificates) -> None:
    """It is run before its body has come, as any later one is."""
    bench = Bench(certificates, proxy=True)
    bench.receive(HEADER)
    bench.client.shake_hands()
    bench.receive()
    assert bench.client.shake_hands()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    bench.client.say(head)
    assert bench.receive()
    bench.connection.run()
    assert bench.client.hear().startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("proxy", [False, True])
def test_a_handshake_has_the_deadline_of_a_head(certificates: Certificates, proxy: bool) -> None:
    """More bytes do not move it."""
    bench = Bench(certificates, proxy=proxy, header_timeout=15.0)
    for byte in (HEADER if proxy else b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc")[:14]:
        assert not bench.receive(bytes([byte]))
        assert bench.later(1) is ConnectionState.HANDSHAKE
    assert bench.later(2) is ConnectionState.CLOSED


def test_a_handshake_that_the_client_does_not_take_has_it_too(certificates: Certificates) -> None:
    """It waits for the socket to take our part, and not for the client to send."""
    bench = Bench(certificates, header_timeout=15.0)
    bench.straw.takes = 10
    bench.client.shake_hands()
    bench.receive()
    assert bench.connection.state is ConnectionState.FLUSHING
    assert not bench.connection.flush()
    assert bench.later(14) is ConnectionState.FLUSHING
    bench.straw.takes = None
    assert not bench.connection.flush()
    assert bench.connection.state is ConnectionState.HANDSHAKE
    bench.do_handshake()
    bench.client.say(GET)
    assert bench.receive()
    bench.straw.takes = 0
    bench.connection.run()
    assert bench.connection.state is ConnectionState.FLUSHING
    bench.straw.takes = None
    assert not bench.connection.flush()
    assert bench.client.hear().endswith(b"hello")

    stuck = Bench(certificates, header_timeout=15.0)
    stuck.straw.takes = 10
    stuck.client.shake_hands()
    stuck.receive()
    assert stuck.later(16) is ConnectionState.CLOSED


def test_after_the_handshake_the_other_deadlines_hold(certificates: Certificates) -> None:
    """A head that does not come is answered, over TLS."""
    bench = Bench(certificates, header_timeout=15.0)
    bench.do_handshake()
    bench.later(10)
    bench.client.say(b"GET / HT")
    bench.receive()
    assert bench.later(14) is ConnectionState.HEAD
    assert bench.later(2) is ConnectionState.LINGERING
    assert bench.client.hear().startswith(b"HTTP/1.1 408 ")
    assert bench.later(3) is ConnectionState.CLOSED


def test_a_server_that_stops_does_not_wait_for_handshakes(certificates: Certificates) -> None:
    """A client that has only begun gets the grace of one that has sent nothing."""
    bench = Bench(certificates)
    bench.receive(b"\x16")
    bench.connection.close_if_idle(bench.now + 0.4, 0.5)
    assert bench.connection.state is ConnectionState.HANDSHAKE
    bench.connection.close_if_idle(bench.now + 0.6, 0.5)
    assert bench.connection.state is ConnectionState.CLOSED


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\n\r\n", b"p", b"OPTIONS * HTTP/1.1"])
def test_plain_http_is_told_where_to_go(certificates: Certificates, request_line: bytes) -> None:
    """In its own language; then the client is given time to read it."""
    bench = Bench(certificates)
    assert not bench.receive(request_line, cut=1)
    head, _, body = bytes(bench.straw.sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert body == b"This port speaks HTTPS: https://[::1]:8443/\n"
    assert bench.connection.state is ConnectionState.LINGERING
    assert bench.straw.shut == [socket.SHUT_WR]
    assert bench.later(3) is ConnectionState.CLOSED


@pytest.mark.parametrize(
    ("name", "said"),
    [("/tmp/x", b"HTTPS.\n"), (("127.0.0.1", 1), b": https://127.0.0.1:1/\n"), (None, b"HTTPS.\n")],
)
def test_the_hint_names_what_address_there_is(
    certificates: Certificates, name: Any, said: bytes
) -> None:
    """A UNIX socket has none for a browser."""
    bench = Bench(certificates)
    bench.straw.name = name
    bench.receive(GET)
    assert bench.straw.sent.endswith(said)


def test_a_handshake_that_fails_costs_a_line_of_debugging_at_most(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """The client is sent the alert and given time to read it; nothing more is read."""
    bench = Bench(certificates)
    with caplog.at_level(logging.INFO):
        bench.receive(b"\x16\x03\x01\x00\x05hello")
    assert caplog.records == []
    assert bench.straw.sent[:1] == b"\x15"
    assert bench.connection.state is ConnectionState.LINGERING
    assert not bench.receive(GET)
    assert bench.later(3) is ConnectionState.CLOSED


def test_a_client_that_goes_while_our_part_waits_is_closed(certificates: Certificates) -> None:
    """As at any other time."""
    bench = Bench(certificates)
    bench.straw.takes = 10
    bench.client.shake_hands()
    bench.receive()

    def gone(data: Any) -> int:
        raise BrokenPipeError

    bench.straw.send = gone  # type: ignore[method-assign]
    assert not bench.connection.flush()
    assert bench.connection.state is ConnectionState.CLOSED


def test_a_goodbye_instead_of_a_request_is_the_end(certificates: Certificates) -> None:
    """Also where it comes with the last part of the handshake."""
    bench = Bench(certificates)
    bench.client.shake_hands()
    bench.receive()
    bench.client.shake_hands()
    with pytest.raises(ssl.SSLWantReadError):
        bench.client.tls.unwrap()
    bench.client.exchange()
    assert not bench.receive()
    assert bench.connection.state is ConnectionState.CLOSED


def test_the_fields_that_a_proxy_adds_do_not_count_as_a_clients(certificates: Certificates) -> None:
    """The limit of fields is for what is in the head."""
    bench = Bench(certificates, proxy=True, max_header_count=1)
    bench.straw.incoming += HEADER
    bench.do_handshake()
    bench.client.say(GET)
    assert bench.receive()
    bench.connection.run()
    bench.client.say(GET[:-2] + b"X: y\r\n\r\n")
    assert not bench.receive()
    assert b" 431 " in bench.client.hear()


def test_a_connection_tells_what_it_is(certificates: Certificates) -> None:
    """For whoever looks at it in a debugger."""
    bench = Bench(certificates)
    assert repr(bench.connection) == "<Connection 9999 HANDSHAKE, 0 served>"
    assert repr(bench.connection._handshake) == "<Handshake, waits for a TLS handshake>"
    bench = Bench(certificates, proxy=True)
    assert repr(bench.connection._handshake) == "<Handshake, waits for a PROXY header>"
