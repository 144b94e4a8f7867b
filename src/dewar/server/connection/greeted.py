"""A connection that begins with something else than a request: a PROXY header, TLS, or both.

It costs no thread: what has come is taken in by the leader, as with any connection. The whole of
the beginning has ``header_timeout``.
"""

import logging
import socket
import ssl

from dewar.server.connection.channel import TlsChannel
from dewar.server.connection.connection import Connection
from dewar.server.connection.environ import TRUSTS_PEER, Environ, proxied_environ, tls_environ
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.outbox import has_ended
from dewar.server.connection.service import Service
from dewar.server.connection.state import State
from dewar.server.trust import TrustedHosts
from dewar.server.wire.errors import BAD_REQUEST, Refusal
from dewar.server.wire.proxy_protocol import ProxyHeader, maybe_proxy_header
from dewar.server.wire.reader import RequestReader

_READ = 65536

_GREETING, _FLUSHING = State.GREETING, State.FLUSHING

_logger = logging.getLogger("dewar.server")


class Greeting:
    """What is yet to come before the first request.

    Args:
        environ: The connection's part of the environ so far.
        trust: The trusted hosts, where the connection begins with a PROXY header.
        context: How to do TLS, or ``None`` for plain HTTP.
        began: When the connection was accepted.
    """

    __slots__ = ("began", "channel", "context", "environ", "head", "trust")

    def __init__(
        self,
        environ: Environ,
        trust: TrustedHosts | None,
        context: ssl.SSLContext | None,
        began: float,
    ) -> None:
        self.environ = environ
        self.trust = trust
        self.context = context
        self.began = began
        self.head = b""
        self.channel: TlsChannel | None = None

    def __repr__(self) -> str:
        awaited = "a PROXY header" if self.trust is not None else "a TLS handshake"
        return f"<Greeting, waits for {awaited}>"


class GreetedConnection(Connection):
    """A `Connection` with a greeting before it."""

    __slots__ = ("_greeting", "_plain")

    def __init__(self, service: Service, sock: socket.socket, greeting: Greeting) -> None:
        super().__init__(service, sock, greeting.environ)
        self._plain = sock
        self._greeting: Greeting | None = greeting  # None once requests may come
        self.state = _GREETING

    def receive(self) -> bool:
        """Take in what has come; return whether there is a request to `run`."""
        greeting = self._greeting
        if greeting is None:
            return super().receive()
        try:
            data = self._plain.recv(_READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._move(State.CLOSED)
            return False
        if greeting.trust is not None:
            return self._read_header(greeting, greeting.trust, data)
        return self._greet(greeting, data)

    def flush(self) -> bool:
        """Send what waits; return whether there is a request to `run` then."""
        greeting = self._greeting
        if greeting is None or greeting.channel is None:
            return super().flush()
        try:
            if not greeting.channel.push():
                return False
        except OSError:
            self._abandon()
            return False
        return self._shake_hands(greeting, greeting.channel)

    def expire(self, now: float) -> None:
        """Give up on the client where it is past its deadline."""
        if self._greeting is None:
            super().expire(now)
        elif now - self._greeting.began > self._service.settings.header_timeout:
            _logger.debug("%r: %r did not end in time.", self, self._greeting)
            self._move(State.CLOSED)

    def is_deserted(self) -> bool:
        """Return whether the client has closed its side. For a connection that is SUSPENDED."""
        return has_ended(self._plain)

    def drain(self, now: float, grace: float) -> None:
        """End the connection if it is idle, because the server stops."""
        if self._greeting is None:
            super().drain(now, grace)
        elif now - self._greeting.began > grace:
            self._move(State.CLOSED)

    # The PROXY header.

    def _read_header(self, greeting: Greeting, trust: TrustedHosts, data: bytes) -> bool:
        data = greeting.head + data
        try:
            header = maybe_proxy_header(data)
        except Refusal as refusal:
            address = greeting.environ["REMOTE_ADDR"] or "a UNIX socket"
            _logger.warning("%s is trusted to send a PROXY header. %s", address, refusal.reason)
            self._move(State.CLOSED)
            return False
        if header is None:
            greeting.head = data
            return False
        greeting.head = b""
        greeting.trust = None
        self._note_header(greeting.environ, trust, header)
        data = data[header.size :]
        return self._greet(greeting, data) if data or greeting.context is None else False

    def _note_header(self, environ: Environ, trust: TrustedHosts, header: ProxyHeader) -> None:
        environ.update(proxied_environ(header))
        # SECURITY: it is the sender of the requests who has to be trusted for their fields, and
        # that is not the proxy. A sender that is not known is nobody.
        known = header.source is not None
        environ[TRUSTS_PEER] = known and trust.trusts(environ["REMOTE_ADDR"])

    # TLS.

    def _greet(self, greeting: Greeting, data: bytes) -> bool:
        """Go on after the PROXY header, if any, with *data*."""
        if greeting.context is None:
            return self._begin(greeting.environ, data)
        channel = greeting.channel
        if channel is None:
            # A TLS record begins with its type, 22 for a handshake; a request with a letter.
            if data[:1].isalpha():
                self._hint()
                return False
            channel = greeting.channel = TlsChannel(self._plain, greeting.context)
            # It has all that is used of a socket.
            self.sock = channel  # type: ignore[assignment]
        channel.feed(data)
        return self._shake_hands(greeting, channel)

    def _shake_hands(self, greeting: Greeting, channel: TlsChannel) -> bool:
        try:
            has_ended = channel.handshake()
        except OSError as error:
            _logger.debug("%r: the TLS handshake failed: %s", self, error)
            self._greeting = None
            self._finish_with(State.LINGERING)  # the client shall see the alert
            return False
        if channel.has_backlog():
            self._move(_FLUSHING)
            return False
        if not has_ended:
            self._move(_GREETING)
            return False
        self._recv = channel.recv
        self._send = channel.send
        greeting.environ.update(tls_environ(channel.tls))
        try:
            data = channel.take(_READ)
        except BlockingIOError:
            return self._begin(greeting.environ, b"")
        except OSError:
            data = b""
        if not data:
            self._move(State.CLOSED)
            return False
        return self._begin(greeting.environ, data)

    def _hint(self) -> None:
        """Tell a client that speaks HTTP where to go; it is the only thing it understands."""
        _logger.debug("%r: plain HTTP on a port for HTTPS.", self)
        self._greeting = None
        self._refuse(Refusal(BAD_REQUEST, f"This port speaks HTTPS{self._address()}"))

    def _address(self) -> str:
        try:
            name = self._plain.getsockname()
        except OSError:
            return "."
        if not isinstance(name, tuple):
            return "."
        host, port = name[:2]
        return f": https://[{host}]:{port}/" if ":" in host else f": https://{host}:{port}/"

    # Then.

    def _begin(self, environ: Environ, data: bytes) -> bool:
        """Read requests from now on, the first of them from *data*."""
        self._greeting = None
        # Not the one that there was: what it takes for a field depends on the environ.
        self._reader = RequestReader(
            environ, self._service.names, self._service.settings.limits, Exchange
        )
        self._move(State.IDLE)
        if not data:
            return False
        self._reader.feed(data)
        if self._reader.completed:
            return True
        if self._reader.wants_continue and self._begin_early():
            return True
        self._read_on(len(data))
        return False
